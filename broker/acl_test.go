package broker

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"trellis/access"
)

func TestLogin(t *testing.T) {
	h := start(t)
	h.ring.end(shed2, access.ErrKeyRevoked)
	otherWill := &will{topic: []byte(door.publishTopic()), payload: []byte("x")}
	for name, tt := range map[string]struct {
		change func(*connect)
		want   byte
	}{
		"as documented":                      {func(*connect) {}, 0},
		"a further program":                  {func(c *connect) { c.client += "#laptop" }, 0},
		"a further program, odd letters":     {func(c *connect) { c.client += "#Zoë's .*> desk" }, 0},
		"a further program, longest name":    {func(c *connect) { c.client += "#" + strings.Repeat("x", 128) }, 0},
		"a further program, name too long":   {func(c *connect) { c.client += "#" + strings.Repeat("x", 129) }, 5},
		"unknown key":                        {func(c *connect) { c.key = "key-k9" }, 4},
		"no key":                             {func(c *connect) { c.key = "" }, 4},
		"user name of another key":           {func(c *connect) { c.user = door.jti }, 4},
		"no user name":                       {func(c *connect) { c.user = "" }, 4},
		"revoked key":                        {func(c *connect) { *c = shed2.connect() }, 5},
		"client id of another entity":        {func(c *connect) { c.client = door.sub.String() }, 5},
		"client id of another, with #":       {func(c *connect) { c.client = door.sub.String() + "#x" }, 5},
		"client id that begins like its own": {func(c *connect) { c.client += "x" }, 5},
		"no client id":                       {func(c *connect) { c.client = "" }, 5},
		"will on its own topic":              {func(c *connect) { c.will = &will{topic: []byte(shed.publishTopic())} }, 0},
		"will on another's topic":            {func(c *connect) { c.will = otherWill }, 5},
		"will on its messages":               {func(c *connect) { c.will = &will{topic: []byte(shed.messagesTopic())} }, 5},
		"will on a wildcard":                 {func(c *connect) { c.will = &will{topic: []byte("acme/eu/+/publish")} }, 5},
		"will inside the broker":             {func(c *connect) { c.will = &will{topic: []byte("$MQTT/msgs/x")} }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			c := shed.connect()
			tt.change(&c)
			d := h.dial()
			if got := d.connect(c); got != tt.want {
				t.Fatalf("CONNACK %d, want %d", got, tt.want)
			}
			if tt.want == 0 {
				d.leave()
				return
			}
			if rest := d.closed(); len(rest) > 0 {
				t.Errorf("more was said: %x", rest)
			}
		})
	}
	h.alive()
}

func TestAClientIDOfAnotherKeyCannotBeTaken(t *testing.T) {
	h := start(t)
	victim := h.login(door)
	for _, clean := range []bool{true, false} {
		thief := h.dial()
		c := shed.connect()
		c.client, c.clean = door.sub.String(), clean
		if got := thief.connect(c); got != 5 {
			t.Errorf("CONNACK %d", got)
		}
	}
	victim.publish(door.publishTopic(), "still here", 1)
}

func TestSubscribe(t *testing.T) {
	h := start(t)
	deep := "a" + strings.Repeat("/a", 40)
	for filter, want := range map[string]byte{
		shed.messagesTopic():              1,
		shed.publishTopic():               1,
		door.messagesTopic():              0x80,
		shed2.messagesTopic():             0x80,
		"rival/eu/k1/messages":            0x80,
		"acme/eu/k1/#":                    0x80,
		"acme/eu/k1/messages/#":           0x80,
		"acme/eu/k1/+":                    0x80,
		"acme/eu/+/messages":              0x80,
		"+/+/+/messages":                  0x80,
		"+/+/+/publish":                   0x80,
		"+/eu/k1/messages":                0x80,
		"#":                               0x80,
		"+":                               0x80,
		"+/#":                             0x80,
		"/":                               0x80,
		"/#":                              0x80,
		"$SYS/#":                          0x80,
		"$SYS/broker/uptime":              0x80,
		"$MQTT/#":                         0x80,
		"$MQTT/sub/#":                     0x80,
		"$MQTT/sub/+":                     0x80,
		"$MQTT/msgs/acme/eu/k3/messages":  0x80,
		"$MQTT.sub.>":                     0x80,
		"$MQTT/deliver/pubrel/#":          0x80,
		"$JS/#":                           0x80,
		"$JS/API/#":                       0x80,
		"$share/g/acme/eu/k1/messages":    0x80,
		"$queue/acme/eu/k1/messages":      0x80,
		"_INBOX/#":                        0x80,
		"acme.eu.k1.messages":             0x80,
		"acme/eu/k1/messages/":            0x80,
		"/acme/eu/k1/messages":            0x80,
		"acme//eu/k1/messages":            0x80,
		"acme/eu/k1/Messages":             0x80,
		"acme/eu/*/messages":              0x80,
		"acme/eu/k1/>":                    0x80,
		"acme/eu/k1 /messages":            0x80,
		"acme/eu/k1/messages\u00a0":       0x80,
		deep:                              0x80,
		strings.Repeat("x", 2000):         0x80,
		"acme/eu/k1/messages/../messages": 0x80,
	} {
		t.Run(filter[:min(len(filter), 40)], func(t *testing.T) {
			d := h.login(shed)
			defer d.leave()
			if got := d.subscribe(1, filter); !bytes.Equal(got, []byte{want}) {
				t.Errorf("SUBACK %x, want %x", got, want)
			}
		})
	}
	h.alive()
}

func TestOneSubscribeMayBePartlyGranted(t *testing.T) {
	d := start(t).login(shed)
	got := d.subscribe(1, "#", shed.messagesTopic(), door.messagesTopic(), shed.publishTopic())
	if want := []byte{0x80, 1, 0x80, 1}; !bytes.Equal(got, want) {
		t.Errorf("SUBACK %x, want %x", got, want)
	}
}

func TestFiltersBeyondTheLimitAreRefused(t *testing.T) {
	d := start(t, func(c *Config) { c.Limits.Filters = 1 }).login(shed)
	got := d.subscribe(1, shed.messagesTopic(), shed.publishTopic(), shed.messagesTopic())
	if want := []byte{1, 0x80, 1}; !bytes.Equal(got, want) {
		t.Errorf("SUBACK %x, want %x", got, want)
	}
}

func TestPublishElsewhereEndsTheConnection(t *testing.T) {
	h := start(t)
	seen, stop := h.watch()
	defer stop()
	listener := h.login(door)
	listener.subscribe(1, door.messagesTopic(), door.publishTopic())
	for _, topic := range []string{
		door.publishTopic(), door.messagesTopic(), shed.messagesTopic(), "rival/eu/k1/publish", "acme/eu/operator/publish",
		"$SYS/x", "$MQTT/msgs/acme/eu/k3/messages", "$JS/API/STREAM/DELETE/x", "acme.eu.k1.publish", shed.publishTopic() + "/",
		"/" + shed.publishTopic(), "acme/eu/k1/Publish", "a", "/",
	} {
		for qos := range byte(3) {
			for _, retain := range []byte{0, 1} {
				d := h.login(shed, func(c *connect) { c.client += "#p" })
				d.send(publishPacket(topic, []byte("x"), qos, retain, 7))
				if said := d.closed(); len(said) > 0 {
					t.Errorf("%q at QoS %d: answered %x", topic, qos, said)
				}
			}
		}
	}
	listener.quietNow()
	select {
	case got := <-seen:
		t.Errorf("shown: %+v", got)
	default:
	}
	h.alive()
}

func TestTheLoopbackPortIsUselessToOthers(t *testing.T) {
	h := start(t)
	token, forget := h.b.engine.tokens.issue(shed.jti, access.KeyGrant(shed.sub, shed.jti, time.Time{}))
	defer forget()
	gate := h.address
	h.address = h.b.engine.address
	defer func() { h.address = gate }()
	tries := []connect{shed.connect(), shed.connect(), shed.connect(), shed.connect()}
	tries[0].key, tries[0].client = token, "k1_"          // as the gate does it: works, once
	tries[1].key, tries[1].client = token, "k1_"          // the same token again
	tries[2].user, tries[2].key = insideUser, "guess"     // our own user
	tries[3].user, tries[3].key = "$trellis", "key-"+"k1" // a valid key
	for i, c := range tries {
		d := h.dial()
		d.send(c.encode(c.client, c.user, c.key))
		p, err := d.read(soon)
		if welcome := err == nil && p.body[1] == 0; welcome != (i == 0) {
			t.Errorf("try %d: let in = %v (%v)", i, welcome, err)
		}
	}
	d := h.dial()
	c := shed.connect()
	d.send(c.encode(c.client, c.user, c.key))
	if p, err := d.read(soon); err == nil && p.body[1] == 0 {
		t.Error("a valid key was let in past the gate")
	}
}

func TestTokensExpire(t *testing.T) {
	tk := newTokens()
	token, _ := tk.issue("k1", access.Grant{})
	for id, p := range tk.issued {
		p.expires = time.Now().Add(-time.Second)
		tk.issued[id] = p
	}
	if _, ok := tk.take("k1", token); ok {
		t.Error("an expired token works")
	}
	if len(tk.issued) != 0 {
		t.Error("an expired token is kept")
	}
}

func TestLoginRefusalsAreTyped(t *testing.T) {
	h := start(t)
	h.ring.end(door, access.ErrKeyExpired)
	for _, tt := range []struct {
		key, user string
		want      error
	}{
		{"key-k1", "k1", nil}, {"key-k1", "k2", ErrLogin}, {"", "k1", ErrLogin}, {"x", "k1", ErrLogin}, {"key-k3", "k3", ErrKeyNotValid},
	} {
		if _, err := h.b.login(connect{key: tt.key, user: tt.user}); !errors.Is(err, tt.want) || (tt.want == nil && err != nil) {
			t.Errorf("login(%q, %q) = %v, want %v", tt.user, tt.key, err, tt.want)
		}
	}
}
