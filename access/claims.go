package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ErrClaims says that an answer is not the documented one: flat JSON with at least `sub` and `jti`.
var ErrClaims = errors.New("the answer is not the documented one")

// Claims is what another service says of a key of its own.
type Claims struct {
	Subject Subject
	KeyID   string    // its `jti`
	Until   time.Time // zero means no end that was said
}

// Bounds of what another service's names may be. Its letters are its own affair; what would be more than one level of a topic,
// or could not be printed, is not.
const (
	maxForeignName   = 128
	maxForeignEntity = 256
)

// ParseClaims reads the documented answer. Members it does not know are no concern of ours.
func ParseClaims(body []byte) (Claims, error) {
	var said struct {
		Sub string `json:"sub"`
		JTI string `json:"jti"`
		Exp any    `json:"exp"`
	}
	if !utf8.Valid(body) {
		return Claims{}, fmt.Errorf("%w: it is not text", ErrClaims)
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return Claims{}, fmt.Errorf("%w: it is not one object with texts named sub and jti", ErrClaims)
	}
	sub, err := parseForeign(said.Sub)
	if err != nil {
		return Claims{}, err
	}
	if !foreignName(said.JTI) {
		return Claims{}, fmt.Errorf("%w: its jti cannot be a level of a topic", ErrClaims)
	}
	c := Claims{Subject: sub, KeyID: said.JTI}
	if exp, is := said.Exp.(float64); is && exp > 0 && exp < math.MaxInt32*100 {
		c.Until = time.Unix(int64(exp), 0)
	}
	return c, nil
}

// parseForeign reads another service's `sub`: three or more parts, and what is behind the second colon is the entity's.
func parseForeign(sub string) (Subject, error) {
	parts := strings.SplitN(sub, ":", 3)
	if len(parts) != 3 || !foreignName(parts[0]) || !foreignName(parts[1]) || strings.HasPrefix(parts[0], "$") {
		return Subject{}, fmt.Errorf("%w: its sub is not of the form account:region:entity", ErrClaims)
	}
	if !printable(parts[2], maxForeignEntity) || parts[2] == OperatorName {
		return Subject{}, fmt.Errorf("%w: its sub names no entity", ErrClaims)
	}
	return Subject{Account: parts[0], Region: parts[1], Entity: parts[2]}, nil
}

// foreignName says whether s may stand as one level of a topic.
func foreignName(s string) bool {
	return printable(s, maxForeignName) && !strings.ContainsAny(s, "/+#") && s != OperatorName
}

func printable(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
