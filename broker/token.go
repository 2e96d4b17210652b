package broker

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"trellis/access"
)

// insideUser is the name of our own connection to nats; no key id can have it.
const insideUser = "$trellis"

// tokens lets into nats exactly those whom the gate has just let in: each token is random, works once and within seconds.
// So the loopback port is useless to other users of the machine, even to one who has a key.
type tokens struct {
	inside string // password of our own connection

	mu     sync.Mutex
	issued map[[sha256.Size]byte]pass // by the token's hash, so that looking one up tells nothing by its time
}

type pass struct {
	user    string
	grant   access.Grant
	expires time.Time
}

func newTokens() *tokens {
	return &tokens{inside: secret(), issued: map[[sha256.Size]byte]pass{}}
}

func secret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// issue makes a token; forget drops it if it was not used.
func (t *tokens) issue(user string, g access.Grant) (token string, forget func()) {
	token = secret()
	id := sha256.Sum256([]byte(token))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.issued[id] = pass{user: user, grant: g, expires: time.Now().Add(tokenLives)}
	return token, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.issued, id)
	}
}

// Check is asked by nats for every connection.
func (t *tokens) Check(c server.ClientAuthentication) bool {
	given := c.GetOpts()
	if given.Username == insideUser {
		return subtle.ConstantTimeCompare([]byte(given.Password), []byte(t.inside)) == 1
	}
	p, ok := t.take(given.Username, given.Password)
	if !ok {
		return false
	}
	c.RegisterUser(&server.User{Username: p.user, Permissions: permissions(p.grant)})
	return true
}

func (t *tokens) take(user, token string) (pass, bool) {
	id := sha256.Sum256([]byte(token))
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.issued[id]
	delete(t.issued, id)
	return p, ok && p.user == user && time.Now().Before(p.expires)
}

// permissions are the second fence behind the gate's own checks. The two $MQTT subjects are what nats delivers QoS 1 and
// 2 on; the gate lets no device name them.
func permissions(g access.Grant) *server.Permissions {
	publish := &server.SubjectPermission{}
	for _, topic := range g.Publish {
		if subject, ok := subjectOf(topic); ok {
			publish.Allow = append(publish.Allow, subject)
		}
	}
	if len(publish.Allow) == 0 {
		publish.Deny = []string{">"}
	}
	subscribe := &server.SubjectPermission{Allow: []string{"$MQTT.sub.>", "$MQTT.deliver.pubrel.>"}}
	for _, filter := range g.Subscribe {
		if subject, ok := subjectOf(filter); ok {
			subscribe.Allow = append(subscribe.Allow, subject)
		}
	}
	return &server.Permissions{Publish: publish, Subscribe: subscribe}
}
