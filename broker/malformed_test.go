package broker

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// bytesOf builds bytes from hexadecimal text with spaces.
func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const mqtt = "00 04 4d515454 "

// firstPackets states for each what is said before the connection is closed, and why it is closed.
var firstPackets = map[string]struct {
	sent string
	said string
	why  error
}{
	"MQTT 3.1":                        {"10 0f 0006 4d5149736470 03 02 003c 0001 61", "20 02 00 01", ErrProtocolLevel},
	"MQTT 5":                          {"10 0e" + mqtt + "05 02 003c 00 0001 61", "20 03 00 84 00", ErrMQTT5},
	"level 3 under the new name":      {"10 0d" + mqtt + "03 02 003c 0001 61", "20 02 00 01", ErrProtocolLevel},
	"level 6":                         {"10 0d" + mqtt + "06 02 003c 0001 61", "20 02 00 01", ErrProtocolLevel},
	"bridge bit in the level":         {"10 0d" + mqtt + "84 02 003c 0001 61", "20 02 00 01", ErrProtocolLevel},
	"another protocol":                {"10 0d 0004 484f5354 04 02 003c 0001 61", "", ErrNotMQTT},
	"name in small letters":           {"10 0d 0004 6d717474 04 02 003c 0001 61", "", ErrNotMQTT},
	"reserved flag":                   {"10 0d" + mqtt + "04 03 003c 0001 61", "", ErrMalformed},
	"key without user name":           {"10 10" + mqtt + "04 42 003c 0001 61 0001 62", "", ErrMalformed},
	"will QoS without will":           {"10 0d" + mqtt + "04 0a 003c 0001 61", "", ErrMalformed},
	"will retain without will":        {"10 0d" + mqtt + "04 22 003c 0001 61", "", ErrMalformed},
	"will QoS 3":                      {"10 13" + mqtt + "04 1e 003c 0001 61 0001 62 0001 63", "", ErrMalformed},
	"will flag and no will":           {"10 0d" + mqtt + "04 06 003c 0001 61", "", ErrMalformed},
	"user flag and no user":           {"10 0d" + mqtt + "04 82 003c 0001 61", "", ErrMalformed},
	"more than it should hold":        {"10 0e" + mqtt + "04 02 003c 0001 61 00", "", ErrMalformed},
	"field longer than the packet":    {"10 0d" + mqtt + "04 02 003c ffff 61", "", ErrMalformed},
	"empty":                           {"10 00", "", ErrMalformed},
	"only a name":                     {"10 06" + mqtt, "", ErrMalformed},
	"no keep-alive":                   {"10 08" + mqtt + "04 02", "", ErrMalformed},
	"NUL in the client id":            {"10 0d" + mqtt + "04 02 003c 0001 00", "", ErrMalformed},
	"control letter in the client id": {"10 0d" + mqtt + "04 02 003c 0001 0a", "", ErrMalformed},
	"surrogate in the client id":      {"10 0f" + mqtt + "04 02 003c 0003 eda080", "", ErrMalformed},
	"overlong UTF-8 in the client id": {"10 0e" + mqtt + "04 02 003c 0002 c0af", "", ErrMalformed},
	"header flags":                    {"11 0d" + mqtt + "04 02 003c 0001 61", "", ErrPacketFlags},
	"length of five bytes":            {"10 ff ff ff ff 7f", "", ErrMalformed},
	"length of 256 MiB":               {"10 ff ff ff 7f", "", ErrConnectTooLarge},
	"length just above the limit":     {"10 81 40", "", ErrConnectTooLarge},
	"PUBLISH first":                   {"30 05 0001 61 6262", "", ErrNoConnect},
	"PINGREQ first":                   {"c0 00", "", ErrNoConnect},
	"CONNACK first":                   {"20 02 00 00", "", ErrNoConnect},
	"type 0":                          {"00 00", "", ErrNoConnect},
	"type 15":                         {"f0 00", "", ErrNoConnect},
	"HTTP":                            {hex.EncodeToString([]byte("GET / HTTP/1.1\r\n\r\n")), "", ErrNoConnect},
	"TLS":                             {"16 03 01 00 05 01 00 00 01 00", "", ErrPacketFlags},
	"no login at all":                 {"10 0d" + mqtt + "04 02 003c 0001 61", "20 02 00 04", ErrLogin},
}

func TestMalformedFirstPackets(t *testing.T) {
	h := start(t)
	for name, tt := range firstPackets {
		t.Run(name, func(t *testing.T) {
			said, why := h.converse(t, bytesOf(t, tt.sent))
			if !bytes.Equal(said, bytesOf(t, tt.said)) {
				t.Errorf("said %x, want %s", said, tt.said)
			}
			if !errors.Is(why, tt.why) {
				t.Errorf("closed because %v, want %v", why, tt.why)
			}
			h.alive()
		})
	}
}

// converse sends bytes on a new connection and gives what was said until the server closed it, and the reason.
func (h *house) converse(t *testing.T, sent []byte) ([]byte, error) {
	t.Helper()
	near, far := tcpPair(t)
	why := make(chan error, 1)
	go func() { why <- h.b.ServeConn(context.Background(), far) }()
	d := &device{t: t, conn: near, in: source{from: near}}
	d.send(sent)
	said := d.closed()
	near.Close()
	return said, <-why
}

func tcpPair(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err == nil {
		far, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

var own = hex.EncodeToString(appendField(nil, []byte(shed.publishTopic()))) // 20 bytes with its length

// laterPackets states for each the reason for which the session ends. Nothing is said: 3.1.1 has no words for it.
var laterPackets = map[string]struct {
	sent string
	why  error
}{
	"second CONNECT":                 {"10 0d 0004 4d515454 04 02 003c 0001 61", ErrSecondConnect},
	"CONNACK":                        {"20 02 00 00", ErrPacketType},
	"SUBACK":                         {"90 03 0001 00", ErrPacketType},
	"UNSUBACK":                       {"b0 02 0001", ErrPacketType},
	"PINGRESP":                       {"d0 00", ErrPacketType},
	"type 0":                         {"00 00", ErrPacketType},
	"AUTH of MQTT 5":                 {"f0 00", ErrPacketType},
	"PINGREQ with flags":             {"c1 00", ErrPacketFlags},
	"PINGREQ with content":           {"c0 01 00", ErrMalformed},
	"DISCONNECT with flags":          {"e1 00", ErrPacketFlags},
	"DISCONNECT with a reason":       {"e0 01 00", ErrMalformed},
	"PUBACK without id":              {"40 00", ErrMalformed},
	"PUBACK for id 0":                {"40 02 0000", ErrPacketID},
	"PUBACK too long":                {"40 03 0001 00", ErrMalformed},
	"PUBREC with flags":              {"52 02 0001", ErrPacketFlags},
	"PUBREL without its flags":       {"60 02 0001", ErrPacketFlags},
	"PUBCOMP with flags":             {"78 02 0001", ErrPacketFlags},
	"SUBSCRIBE without its flags":    {"80 06 0001 0001 61 00", ErrPacketFlags},
	"SUBSCRIBE for id 0":             {"82 06 0000 0001 61 00", ErrPacketID},
	"SUBSCRIBE without filter":       {"82 02 0001", ErrNoFilters},
	"SUBSCRIBE without anything":     {"82 00", ErrMalformed},
	"SUBSCRIBE without QoS":          {"82 05 0001 0001 61", ErrMalformed},
	"SUBSCRIBE cut in its id":        {"82 01 00", ErrMalformed},
	"SUBSCRIBE cut in its filter":    {"82 05 0001 0009 61", ErrTopic},
	"SUBSCRIBE at QoS 3":             {"82 06 0001 0001 61 03", ErrMalformed},
	"SUBSCRIBE with reserved bits":   {"82 06 0001 0001 61 80", ErrMalformed},
	"SUBSCRIBE to nothing":           {"82 05 0001 0000 00", ErrTopic},
	"SUBSCRIBE to a#":                {"82 07 0001 0002 6123 00", ErrTopic},
	"SUBSCRIBE to #/a":               {"82 08 0001 0003 232f61 00", ErrTopic},
	"SUBSCRIBE to a+":                {"82 07 0001 0002 612b 00", ErrTopic},
	"SUBSCRIBE to NUL":               {"82 06 0001 0001 00 00", ErrTopic},
	"SUBSCRIBE to bad UTF-8":         {"82 06 0001 0001 ff 00", ErrTopic},
	"SUBSCRIBE larger than allowed":  {"82 81 40", ErrPacketTooLarge},
	"UNSUBSCRIBE without filter":     {"a2 02 0001", ErrNoFilters},
	"UNSUBSCRIBE without its flags":  {"a0 05 0001 0001 61", ErrPacketFlags},
	"UNSUBSCRIBE from bad UTF-8":     {"a2 05 0001 0001 ff", ErrTopic},
	"PUBLISH at QoS 3":               {"36 07 0001 61 0001 6161", ErrQoS},
	"PUBLISH at QoS 0 with DUP":      {"38 14" + own, ErrPacketFlags},
	"PUBLISH without a topic":        {"30 00", ErrMalformed},
	"PUBLISH with half a length":     {"30 01 00", ErrMalformed},
	"PUBLISH with a topic too long":  {"30 03 ffff 61", ErrMalformed},
	"PUBLISH on an empty topic":      {"30 02 0000", ErrTopic},
	"PUBLISH on +":                   {"30 03 0001 2b", ErrTopic},
	"PUBLISH on #":                   {"30 03 0001 23", ErrTopic},
	"PUBLISH on NUL":                 {"30 03 0001 00", ErrTopic},
	"PUBLISH on a surrogate":         {"30 05 0003 eda080", ErrTopic},
	"PUBLISH on a non-character":     {"30 05 0003 efbfbf", ErrTopic},
	"PUBLISH on a byte order mark":   {"30 05 0003 efbbbf", ErrPublishElsewhere},
	"PUBLISH on a DEL":               {"30 03 0001 7f", ErrTopic},
	"PUBLISH on 65,535 bytes":        {"30 81 80 04 ffff" + strings.Repeat("61", 65535), ErrTopic},
	"PUBLISH on 33 levels":           {"30 43 0041" + strings.Repeat("612f", 32) + "61", ErrTopic},
	"PUBLISH on $SYS":                {"30 08 0006 24535953 2f61", ErrPublishElsewhere},
	"PUBLISH at QoS 1 without id":    {"32 14" + own, ErrMalformed},
	"PUBLISH at QoS 1 with half one": {"32 15" + own + "00", ErrMalformed},
	"PUBLISH at QoS 1 for id 0":      {"32 16" + own + "0000", ErrPacketID},
	"PUBLISH at QoS 2 for id 0":      {"34 16" + own + "0000", ErrPacketID},
	"PUBLISH of 256 MiB":             {"30 ff ff ff 7f", ErrPacketTooLarge},
	"PUBLISH just above the limit":   {"30 81 80 08", ErrPacketTooLarge},
	"length of five bytes":           {"30 ff ff ff ff 01", ErrMalformed},
}

func TestMalformedLaterPackets(t *testing.T) {
	h := start(t)
	for name, tt := range laterPackets {
		t.Run(name, func(t *testing.T) {
			login := shed.connect()
			first := login.encode(login.client, login.user, login.key)
			said, why := h.converse(t, append(first, bytesOf(t, tt.sent)...))
			if want := []byte{0x20, 2, 0, 0}; !bytes.Equal(said, want) {
				t.Errorf("said %x, want only the CONNACK", said)
			}
			if !errors.Is(why, tt.why) {
				t.Errorf("closed because %v, want %v", why, tt.why)
			}
			h.alive()
		})
	}
}

// TestACutAnywhere ends the connection after every byte of a conversation.
func TestACutAnywhere(t *testing.T) {
	h := start(t)
	login := shed.connect()
	talk := login.encode(login.client, login.user, login.key)
	talk = append(talk, bytesOf(t, "82 06 0001 0001 61 00")...)
	talk = append(talk, publishPacket(shed.publishTopic(), []byte("x"), 2, 0, 1)...)
	for n := range len(talk) {
		d := h.dial()
		d.send(talk[:n])
		// Half of a close, and then the other side's: those who have not been let go of count against the next ones of this address.
		if err := d.conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		d.conn.SetReadDeadline(time.Now().Add(soon))
		if _, err := io.Copy(io.Discard, d.conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("cut after %d bytes: the connection was not ended", n)
		}
	}
	h.alive()
}
