// Package access says who may do what until when.
//
// Everyone who enters holds a [Grant]: a device with an API key, an operator's session, a link to a moment.
// There is no second notion of permission. Start at [Keys.Verify], which makes a Grant out of an API key.
package access

import (
	"log/slog"
	"strings"
	"time"
)

// Grant is what one holder may do. It is a value: whoever is given one cannot widen it.
type Grant struct {
	Holder    string    // who, for people and for the log: an entity's name, or "operator"
	Subject   Subject   // Entity is empty for an operator
	KeyID     string    // the key's `jti`; empty for an operator
	Print     string    // tells one key from the next of the same id; no secret
	SignIn    string    // tells one sign-in of a browser from another; no secret; empty for who shows the key itself
	Subscribe []string  // topic filters that may be heard
	Publish   []string  // topics, whole, that may be written
	Moment    string    // the one moment that may be shown; empty for everybody who did not come by a link to one
	Until     time.Time // zero means no end
}

// KeyGrant is the Grant of one API key: its own two topics and nothing else.
func KeyGrant(sub Subject, keyID string, until time.Time) Grant {
	return Grant{
		Holder:    sub.Entity,
		Subject:   sub,
		KeyID:     keyID,
		Subscribe: []string{sub.MessagesTopic(keyID), sub.PublishTopic(keyID)},
		Publish:   []string{sub.PublishTopic(keyID)},
		Until:     until,
	}
}

// Topics says what the key with this id may hear and where it may send. Whoever opens the keys decides: with a broker of our own it is
// a key's own two topics, see [KeyGrant]; in front of a broker that knows no keys it follows from the entity's name.
type Topics func(sub Subject, keyID string) (subscribe, publish []string)

// OperatorGrant lets the operator hear whatever is published in the account's region, and send under the operator's own name.
func OperatorGrant(account, region string, until time.Time) Grant {
	sub := Subject{Account: account, Region: region}
	return Grant{
		Holder:    OperatorName,
		Subject:   sub,
		Subscribe: []string{sub.PublishTopic("+")},
		Publish:   []string{sub.PublishTopic(OperatorName)},
		Until:     until,
	}
}

// MaySubscribe says whether every topic that filter can match is one that the Grant lists.
func (g Grant) MaySubscribe(filter string) bool {
	for _, given := range g.Subscribe {
		if covers(given, filter) {
			return true
		}
	}
	return false
}

// MayReceive says whether a message on this topic may reach the holder.
func (g Grant) MayReceive(topic string) bool {
	for _, given := range g.Subscribe {
		if Matches(given, topic) {
			return true
		}
	}
	return false
}

// MayPublish says whether the holder may write to topic. Topics are compared whole; there are no wildcards to publish to.
func (g Grant) MayPublish(topic string) bool {
	for _, given := range g.Publish {
		if given == topic {
			return true
		}
	}
	return false
}

// Ended says whether the Grant is past its end at this time.
func (g Grant) Ended(at time.Time) bool { return !g.Until.IsZero() && !at.Before(g.Until) }

// LogValue names the holder and never a secret.
func (g Grant) LogValue() slog.Value {
	return slog.GroupValue(slog.String("holder", g.Holder), slog.String("key", g.KeyID))
}

// Matches says whether an MQTT topic filter matches a topic name (MQTT 3.1.1 section 4.7), segment by segment.
func Matches(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		f, fRest, fMore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, tRest, tMore := strings.Cut(topic, "/")
		if f != "+" && f != t {
			return false
		}
		if !fMore || !tMore {
			return fMore == tMore || (fMore && fRest == "#")
		}
		filter, topic = fRest, tRest
	}
}

// covers says whether the filter given matches everything that the filter asked can match.
//
// It refuses what it does not understand: a wildcard inside a level means different things to different brokers.
func covers(given, asked string) bool {
	if strings.HasPrefix(asked, "$") && !strings.HasPrefix(given, "$") {
		return false
	}
	for {
		g, gRest, gMore := strings.Cut(given, "/")
		if g == "#" {
			return true
		}
		a, aRest, aMore := strings.Cut(asked, "/")
		if a == "#" || (a == "+" && g != "+") || (g != "+" && g != a) || (len(a) > 1 && strings.ContainsAny(a, "+#")) {
			return false
		}
		if !gMore || !aMore {
			return gMore == aMore || (gMore && gRest == "#")
		}
		given, asked = gRest, aRest
	}
}
