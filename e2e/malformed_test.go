package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// atOnce is how soon a connection that broke the protocol must be closed; well under the 5 s that silence is given.
const atOnce = 3 * time.Second

// outcome is what a client that misbehaves gets.
type outcome string

const (
	closed   outcome = "closed without a word"
	refused1 outcome = "CONNACK 1, then closed"
	refused5 outcome = "the refusal of MQTT 5, then closed"
	refused  outcome = "a CONNACK that refuses, or closed"
	denied   outcome = "SUBACK with failure, or closed"
	useless  outcome = "closed, or kept and the message dropped"
)

// connect makes a CONNECT by hand: protocol, level, flags, keep alive 60 and these fields.
func connect(protocol string, level, flags byte, fields ...string) []byte {
	head := append(wire.String(protocol), level, flags, 0, 60)
	for _, field := range fields {
		head = append(head, wire.String(field)...)
	}
	return wire.Encode(0x10, head)
}

// strangers are first packets of a connection. The key is a good one: what is wrong is only what the name says.
func strangers(k key) map[string]struct {
	send []byte
	want outcome
} {
	type tt = struct {
		send []byte
		want outcome
	}
	login := func(change func(*wire.Login)) []byte {
		l := k.login("")
		change(&l)
		return l.Packet()
	}
	whole := k.login("").Packet()
	body := whole[1+len(wire.Length(len(whole))):]
	const user, password = 0x80, 0x40
	return map[string]tt{
		"a web request":                      {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), closed},
		"a TLS greeting":                     {[]byte{0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3}, closed},
		"PUBLISH before CONNECT":             {wire.Message{Topic: k.topic("publish"), Payload: []byte("{}")}.Packet(), closed},
		"PINGREQ before CONNECT":             {wire.Bare(wire.PINGREQ), closed},
		"SUBSCRIBE before CONNECT":           {wire.Subscribe(1, 1, k.topic("messages")), closed},
		"a packet of kind 0":                 {[]byte{0x00, 0}, closed},
		"a packet of kind 15":                {[]byte{0xf0, 0}, closed},
		"a length of five bytes":             {[]byte{0x10, 0xff, 0xff, 0xff, 0xff, 0x7f}, closed},
		"an announcement of 256 MiB":         {append([]byte{0x10, 0xff, 0xff, 0xff, 0x7f}, make([]byte, 1024)...), closed},
		"a CONNECT of 9 KiB":                 {login(func(l *wire.Login) { l.Password = strings.Repeat("x", 9<<10) }), closed},
		"a CONNECT without a body":           {[]byte{0x10, 0}, closed},
		"flags in the CONNECT's first byte":  {append([]byte{0x11}, whole[1:]...), closed},
		"another protocol's name":            {connect("MQTX", 4, 2, k.Sub), closed},
		"MQTT 3.1":                           {connect("MQIsdp", 3, 2|user|password, k.Sub, k.JTI, k.Key), refused1},
		"MQTT 5":                             {wire.Encode(0x10, wire.String("MQTT"), []byte{5, 2, 0, 60, 0}, wire.String(k.Sub)), refused5},
		"MQTT 6":                             {connect("MQTT", 6, 2|user|password, k.Sub, k.JTI, k.Key), refused1},
		"MQTT 0":                             {connect("MQTT", 0, 2|user|password, k.Sub, k.JTI, k.Key), refused1},
		"the reserved flag":                  {connect("MQTT", 4, 3|user|password, k.Sub, k.JTI, k.Key), closed},
		"a will of QoS 3":                    {connect("MQTT", 4, 2|4|0x18|user|password, k.Sub, k.topic("publish"), "x", k.JTI, k.Key), closed},
		"a will's QoS without a will":        {connect("MQTT", 4, 2|8|user|password, k.Sub, k.JTI, k.Key), closed},
		"a will's retain without a will":     {connect("MQTT", 4, 2|0x20|user|password, k.Sub, k.JTI, k.Key), closed},
		"a password without a user":          {connect("MQTT", 4, 2|password, k.Sub, k.Key), closed},
		"a client id that is not text":       {connect("MQTT", 4, 2|user|password, k.Sub+"#\xff\xfe", k.JTI, k.Key), refused},
		"a client id with a surrogate":       {connect("MQTT", 4, 2|user|password, k.Sub+"#\xed\xa0\x80", k.JTI, k.Key), refused},
		"a client id with NUL":               {connect("MQTT", 4, 2|user|password, k.Sub+"#\x00", k.JTI, k.Key), refused},
		"an empty client id":                 {connect("MQTT", 4, 2|user|password, "", k.JTI, k.Key), refused},
		"an empty client id that shall stay": {connect("MQTT", 4, user|password, "", k.JTI, k.Key), refused},
		"a wildcard as client id":            {connect("MQTT", 4, 2|user|password, k.place(":")+":+", k.JTI, k.Key), refused},
		"no user and no password":            {connect("MQTT", 4, 2, k.Sub), refused},
		"a field longer than the packet":     {wire.Encode(0x10, wire.String("MQTT"), []byte{4, 2, 0, 60, 0xff, 0xff, 'x'}), closed},
		"fields missing":                     {connect("MQTT", 4, 2|user|password, k.Sub), closed},
		"bytes left over":                    {wire.Encode(0x10, body, []byte("more")), closed},
		"a will to somebody else's topic":    {login(func(l *wire.Login) { l.Will = &wire.Message{Topic: k.place("/") + "/x/messages"} }), refused},
		"a will to a wildcard":               {login(func(l *wire.Login) { l.Will = &wire.Message{Topic: k.place("/") + "/+/publish"} }), refused},
		"a will to the server's own topics":  {login(func(l *wire.Login) { l.Will = &wire.Message{Topic: "$SYS/x"} }), refused},
		"a retained will to nobody's messages": {login(func(l *wire.Login) {
			l.Will = &wire.Message{Topic: k.topic("messages"), Retain: true, QoS: 1}
		}), refused},
	}
}

// guests are packets of a connection that is logged in.
func guests(k key) map[string]struct {
	send []byte
	want outcome
} {
	type tt = struct {
		send []byte
		want outcome
	}
	say := func(topic string) []byte {
		return wire.Message{Topic: topic, Payload: []byte("bad"), QoS: 1, ID: 7}.Packet()
	}
	own := k.topic("publish")
	return map[string]tt{
		"a second CONNECT":               {k.login("#bad").Packet(), closed},
		"a CONNACK":                      {[]byte{0x20, 2, 0, 0}, closed},
		"a packet of kind 0":             {[]byte{0x00, 0}, closed},
		"a packet of kind 15":            {[]byte{0xf0, 0}, closed},
		"a length of five bytes":         {[]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x7f}, closed},
		"a PUBLISH of QoS 3":             {append([]byte{0x36}, say(own)[1:]...), closed},
		"a PUBLISH with id 0":            {wire.Message{Topic: own, QoS: 1, Payload: []byte("bad")}.Packet(), closed},
		"a PUBLISH over 128 KiB":         {wire.Message{Topic: own, QoS: 1, ID: 7, Payload: bytes.Repeat([]byte("x"), 129<<10)}.Packet(), closed},
		"a PUBLISH announcing 256 MiB":   {append([]byte{0x32, 0xff, 0xff, 0xff, 0x7f}, make([]byte, 1024)...), closed},
		"100,000 tags":                   {wire.Message{Topic: own, QoS: 1, ID: 7, Payload: tags(100_000)}.Packet(), closed},
		"a PUBLISH without a body":       {[]byte{0x30, 0}, closed},
		"a topic longer than its packet": {[]byte{0x30, 4, 0, 200, 'a', 'b'}, closed},
		"an empty topic":                 {say(""), closed},
		"a topic of 65,535 bytes":        {say(strings.Repeat("a", 65535)), useless},
		"a topic of 33 levels":           {say(strings.Repeat("a/", 32) + "a"), useless},
		"a topic that is not text":       {say(own + "\xff"), closed},
		"a topic with a surrogate":       {say(own + "\xed\xa0\x80"), closed},
		"a topic with NUL":               {say(own + "\x00"), closed},
		"a topic with +":                 {say(k.place("/") + "/+/publish"), closed},
		"a topic with #":                 {say(k.place("/") + "/#"), closed},
		"a topic of the server's own":    {say("$SYS/broker"), useless},
		"a topic of the broker's inside": {say("$MQTT/x"), useless},
		"a topic with a dot":             {say(k.place(".") + "." + k.JTI + ".publish"), useless},
		"a topic with a space":           {say(own + " "), useless},
		"a topic with an empty level":    {say(k.account() + "//" + k.JTI + "/publish"), useless},
		"a SUBSCRIBE without filters":    {wire.Subscribe(7, 1), closed},
		"a SUBSCRIBE cut short":          {[]byte{0x82, 3, 0, 1, 'a'}, closed},
		"a SUBSCRIBE with id 0":          {wire.Subscribe(0, 1, k.topic("messages")), closed},
		"a SUBSCRIBE of QoS 3":           {wire.Subscribe(7, 3, k.topic("messages")), closed},
		"a SUBSCRIBE with wrong flags":   {append([]byte{0x80}, wire.Subscribe(7, 1, own)[1:]...), closed},
		"an empty filter":                {wire.Subscribe(7, 1, ""), denied},
		"a filter with # in the middle":  {wire.Subscribe(7, 1, k.account()+"/#/publish"), denied},
		"a filter with + in a word":      {wire.Subscribe(7, 1, k.place("/")+"+/x"), denied},
		"a filter of 33 levels":          {wire.Subscribe(7, 1, strings.Repeat("+/", 32)+"+"), denied},
		"a filter that is not text":      {wire.Subscribe(7, 1, k.account()+"/\xff"), denied},
		"a filter of the server's own":   {wire.Subscribe(7, 1, "$SYS/#"), denied},
		"an UNSUBSCRIBE without filters": {[]byte{0xa2, 2, 0, 7}, closed},
		"a PUBREL with wrong flags":      {[]byte{0x60, 2, 0, 7}, closed},
		"a PUBACK cut short":             {[]byte{0x40, 1, 0}, closed},
	}
}

// tags is an envelope with this many of them, no two alike.
func tags(n int) []byte {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%q", fmt.Sprint(i))
	}
	return fmt.Appendf(nil, `{"msg_type":"publish","data":1,"tags":[%s]}`, strings.Join(all, ","))
}

func TestBadPacketsHaveTheirOutcomeAndTheServerServesOn(t *testing.T) {
	s := start(t)
	k, well := s.addKey("shed"), s.addKey("barn")
	healthy := s.device(well, "")
	must(t, healthy.Subscribe(1, well.topic("publish")))
	for door, address := range map[string]string{"TCP": s.mqtt, "ws": s.ws} {
		for name, tt := range strangers(k) {
			t.Run(door+", first: "+name, func(t *testing.T) {
				conn, err := wire.Dial(t.Context(), address)
				must(t, err)
				defer func() { _ = conn.Close() }()
				_, _ = conn.Write(tt.send) // fails when the door is closed before all of it was sent
				judgeStranger(t, conn, tt.want)
				roundTrip(t, healthy, well)
			})
		}
		for name, tt := range guests(k) {
			t.Run(door+", logged in: "+name, func(t *testing.T) {
				c := s.in(t).open(address, k.login("#bad"))
				_ = c.Send(tt.send) // fails when the door is closed before all of it was sent
				judgeGuest(t, c, tt.want)
				_ = c.Close()
				roundTrip(t, healthy, well)
			})
		}
	}
	for _, topic := range []string{k.topic("publish"), k.account() + "//" + k.JTI + "/publish", "$SYS/broker"} {
		if records := recorded(t, s.data, topic, 10); len(records) > 0 {
			t.Errorf("bad packets left %d records under %s, such as %.100s", len(records), topic, records[0].Payload)
		}
	}
}

// judgeStranger reads what came back on a raw connection until it was closed.
func judgeStranger(t *testing.T, conn interface {
	Read([]byte) (int, error)
	SetReadDeadline(time.Time) error
}, want outcome) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(atOnce))
	var got []byte
	var err error
	for err == nil && len(got) < 100 {
		part := make([]byte, 100)
		var n int
		n, err = conn.Read(part)
		got = append(got, part[:n]...)
	}
	var slow interface{ Timeout() bool }
	if err == nil || errors.As(err, &slow) && slow.Timeout() {
		t.Errorf("still open after %v, having said % x; want %s", atOnce, got, want)
		return
	}
	mqtt3 := len(got) == 4 && got[0] == 0x20 && got[1] == 2 && got[2] == 0
	fits := map[outcome]bool{
		closed:   len(got) == 0,
		refused1: mqtt3 && got[3] == 1,
		refused5: bytes.Equal(got, []byte{0x20, 3, 0, 0x84, 0}),
		refused:  len(got) == 0 || mqtt3 && got[3] != 0,
	}
	if !fits[want] {
		t.Errorf("it said % x; want %s", got, want)
	}
}

// judgeGuest finds out what became of a session after a bad packet.
func judgeGuest(t *testing.T, c *wire.Client, want outcome) {
	t.Helper()
	until := time.Now().Add(atOnce)
	if want == useless || want == denied {
		_ = c.Send(wire.Bare(wire.PINGREQ)) // whoever answers this has kept the session
	}
	for {
		p, err := c.Packet(time.Until(until))
		var slow interface{ Timeout() bool }
		switch {
		case err != nil && errors.As(err, &slow) && slow.Timeout():
			t.Errorf("still open after %v; want %s", atOnce, want)
			return
		case err != nil:
			return // closed: always honest
		case p.Kind == wire.SUBACK && want == denied && bytes.Equal(p.Body[2:], []byte{0x80}):
			return
		case p.Kind == wire.PINGRESP && want == useless:
			return
		case p.Kind == wire.PUBACK && want == useless, p.Kind == wire.PINGRESP && want == denied:
		default:
			t.Errorf("answered with a packet of kind %d, % x; want %s", p.Kind, p.Body, want)
			return
		}
	}
}

// roundTrip proves that the server still serves: a message at QoS 1 goes out and comes back.
func roundTrip(t *testing.T, c *wire.Client, k key) {
	t.Helper()
	text := fmt.Sprintf(`{"alive":%q}`, t.Name())
	if err := c.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(text)}); err != nil {
		t.Fatalf("afterwards a healthy client could not publish: %v", err)
	}
	got, err := c.Receive(prompt)
	if err != nil || !strings.Contains(string(got.Payload), `"alive"`) {
		t.Fatalf("afterwards a healthy client received %s, %v", got.Payload, err)
	}
}
