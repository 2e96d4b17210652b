package broker

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"trellis/access"
)

// wellFormed says whether s is a UTF-8 string as MQTT wants it: no ill-formed bytes, no surrogates, no NUL, and none of
// the control and non-characters that the standard lets us refuse.
func wellFormed(s []byte) bool {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRune(s[i:])
		if (r == utf8.RuneError && n == 1) || unicode.IsControl(r) || nonCharacter(r) {
			return false
		}
		i += n
	}
	return true
}

func nonCharacter(r rune) bool { return r&0xfffe == 0xfffe || (r >= 0xfdd0 && r <= 0xfdef) }

// topicName says whether t may be published to at all, whoever asks.
func (l Limits) topicName(t []byte) bool {
	return len(t) > 0 && len(t) <= l.TopicBytes && wellFormed(t) &&
		!strings.ContainsAny(string(t), "+#") && strings.Count(string(t), "/") < l.TopicLevels
}

// topicFilter says whether f is a filter by the standard: wildcards stand alone in their level, # only at the end.
func topicFilter(f []byte) bool {
	if len(f) == 0 || !wellFormed(f) {
		return false
	}
	levels := strings.Split(string(f), "/")
	for i, level := range levels {
		if strings.ContainsAny(level, "+#") && level != "+" && (level != "#" || i != len(levels)-1) {
			return false
		}
	}
	return true
}

// subjectOf maps a topic or filter whose levels are plain names or + to the nats subject that nats itself would make of it.
func subjectOf(topic string) (string, bool) {
	levels := strings.Split(topic, "/")
	for i, level := range levels {
		switch {
		case level == "+":
			levels[i] = "*"
		case !access.PlainName(level):
			return "", false
		}
	}
	return strings.Join(levels, "."), true
}

// sender takes the account, the region and the key id out of a subject that something was published on.
type sender struct{ account, region, key string }

func senderOf(subject string) (sender, bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 || parts[3] != "publish" {
		return sender{}, false
	}
	for _, part := range parts[:3] {
		if !access.PlainName(part) {
			return sender{}, false
		}
	}
	return sender{parts[0], parts[1], parts[2]}, true
}

func (s sender) topic() string { return s.account + "/" + s.region + "/" + s.key + "/publish" }
