package access

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrSubject says that a subject, or a part of one, has a form that is never issued.
var ErrSubject = errors.New("not a subject of the form account:region:entity")

// Subject names an entity: the `sub` of its keys, `account:region:entity`.
type Subject struct {
	Account, Region string
	Entity          string // may itself hold colons; empty for an operator
}

var (
	plainName  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	entityName = regexp.MustCompile(`^[A-Za-z0-9_:-]{1,64}$`)
)

// OperatorName stands where a key's id or an entity would stand when the operator speaks; no key and no entity may have it.
const OperatorName = "operator"

// ParseSubject reads `account:region:entity` and refuses every part outside the permitted letters.
func ParseSubject(s string) (Subject, error) {
	parts := strings.SplitN(s, ":", 3)
	if len(parts) != 3 {
		return Subject{}, fmt.Errorf("%w: %q", ErrSubject, s)
	}
	sub := Subject{Account: parts[0], Region: parts[1], Entity: parts[2]}
	if err := sub.check(); err != nil {
		return Subject{}, err
	}
	return sub, nil
}

// check refuses a subject with a part that is never issued. Parts put together by hand may read as a whole and not be one.
func (s Subject) check() error {
	if !PlainName(s.Account) || !PlainName(s.Region) || !EntityName(s.Entity) {
		return fmt.Errorf("%w: %q", ErrSubject, s.String())
	}
	return nil
}

// String gives the `sub` form.
func (s Subject) String() string { return s.Account + ":" + s.Region + ":" + s.Entity }

// PlainName says whether s may be an account, a region or a key id.
func PlainName(s string) bool { return plainName.MatchString(s) }

// EntityName says whether s may be the name of an entity: as a plain name, and colons.
func EntityName(s string) bool { return entityName.MatchString(s) && s != OperatorName }

// PublishTopic is where the key with this id sends to.
func (s Subject) PublishTopic(keyID string) string {
	return s.Account + "/" + s.Region + "/" + keyID + "/publish"
}

// MessagesTopic is where the key with this id hears from.
func (s Subject) MessagesTopic(keyID string) string {
	return s.Account + "/" + s.Region + "/" + keyID + "/messages"
}
