package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"trellis/e2e/wire"
)

func TestBadFramesEndOneConnectionOnly(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	healthy := s.device(k, "#healthy")
	must(t, healthy.Subscribe(1, k.topic("publish")))
	page := s.browser()
	page.signIn(k)
	fragments := bytes.Repeat(wire.Frame(0x00, nil), 100_000)

	// Who breaks the framing may be hung up on without a word (0), and is owed no particular code; a text frame is no such
	// fault, and its sender is told. What never comes to an end is cut when the time for a CONNECT is over.
	broken := []int{0, 1000, 1002, 1009, 4014}
	for name, tt := range map[string]struct {
		send  []byte
		codes []int
	}{
		"a text frame":                    {wire.Frame(0x80|wire.TextFrame, []byte("hello")), []int{1003}},
		"a frame without a mask":          {[]byte{0x82, 2, 0xc0, 0}, broken},
		"reserved bits":                   {wire.Frame(0xf0|wire.BinaryFrame, []byte{0xc0, 0}), broken},
		"a reserved opcode":               {wire.Frame(0x80|3, nil), broken},
		"a continuation of nothing":       {wire.Frame(0x80, []byte{0xc0, 0}), broken},
		"a ping in pieces":                {wire.Frame(wire.PingFrame, nil), broken},
		"a ping that is too long":         {wire.Frame(0x80|wire.PingFrame, make([]byte, 200)), broken},
		"a length of 2⁶³−1":               {huge(1<<63 - 1), broken},
		"a length of 2⁶³":                 {huge(1 << 63), broken},
		"a message of 1 MiB":              {wire.Frame(0x80|wire.BinaryFrame, make([]byte, 1<<20)), broken},
		"a million bytes in small pieces": {append(wire.Frame(wire.BinaryFrame, nil), bytes.Repeat(wire.Frame(0, make([]byte, 1000)), 1000)...), append(broken, 1008)},
		"endless empty fragments":         {append(wire.Frame(wire.BinaryFrame, nil), fragments...), append(broken, 1008)},
	} {
		for door, header := range map[string]http.Header{"ws": nil, "live": page.liveHeader()} {
			t.Run("/"+door+": "+name, func(t *testing.T) {
				socket, _, err := wire.DialSocket(t.Context(), "ws://"+s.listen+"/"+door, header)
				must(t, err)
				defer func() { _ = socket.Close() }()
				_, _ = socket.Conn.Write(tt.send) // may break off in the middle: that is the point
				_ = socket.SetReadDeadline(time.Now().Add(2 * atOnce))
				_, err = socket.Read(make([]byte, 100))
				code := 0
				var ended *wire.CloseError
				var slow interface{ Timeout() bool }
				switch {
				case errors.As(err, &ended):
					code = ended.Code
				case errors.As(err, &slow) && slow.Timeout(), err == nil:
					t.Errorf("still open after %v", 2*atOnce)
				}
				if !slices.Contains(tt.codes, code) {
					t.Errorf("ended with %v, want a code of %v", err, tt.codes)
				}
				roundTrip(t, healthy, k)
			})
		}
	}
}

// huge is the head of a frame that announces this many bytes.
func huge(length uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, length), 1, 2, 3, 4, 5, 6, 7, 8)
}

func TestAServersGoodbyeIsSaidOnce(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	live := page.live()
	s.revoke("shed")
	reason, err := live.Ended(prompt)
	must(t, err)
	var ended *wire.CloseError
	if !errors.As(reason, &ended) || ended.Code != 4003 {
		t.Fatalf("ended with %v, want 4003", reason)
	}
	// A browser answers a close frame with one of its own; a second one of the server makes it forget the first.
	socket := live.Conn.(*wire.Socket)
	must(t, socket.WriteFrame(0x80|wire.CloseFrame, binary.BigEndian.AppendUint16(nil, 4003)))
	if _, err := socket.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the answer came %v, want the end", err)
	}
}

func TestASocketTalksPlainMQTTOnly(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	dial := func(t *testing.T, header http.Header) (*wire.Socket, *http.Response) {
		socket, answer, err := wire.DialSocket(t.Context(), s.ws, header)
		must(t, err)
		t.Cleanup(func() { _ = socket.Close() })
		return socket, answer
	}
	t.Run("the subprotocol is named back", func(t *testing.T) {
		if _, answer := dial(t, nil); answer.Header.Get("Sec-WebSocket-Protocol") != "mqtt" {
			t.Errorf("subprotocol %q", answer.Header.Get("Sec-WebSocket-Protocol"))
		}
	})
	t.Run("compression is not agreed on", func(t *testing.T) {
		_, answer := dial(t, http.Header{"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"}})
		if extensions := answer.Header.Get("Sec-WebSocket-Extensions"); extensions != "" {
			t.Errorf("agreed on %q", extensions)
		}
	})
	t.Run("packets may be cut anywhere", func(t *testing.T) {
		socket, _ := dial(t, nil)
		for _, b := range k.login("#cut").Packet() {
			must(t, socket.WriteFrame(0x80|wire.BinaryFrame, []byte{b}))
		}
		answer := make([]byte, 4)
		_ = socket.SetReadDeadline(time.Now().Add(prompt))
		if n, err := socket.Read(answer); err != nil || n != 4 || !bytes.Equal(answer, []byte{0x20, 2, 0, 0}) {
			t.Errorf("% x, %v; want a CONNACK of four bytes in one frame", answer[:n], err)
		}
	})
	t.Run("packets may share a frame", func(t *testing.T) {
		socket, _ := dial(t, nil)
		together := slices.Concat(k.login("#joined").Packet(), wire.Subscribe(1, 1, k.topic("publish")),
			wire.Message{Topic: k.topic("publish"), QoS: 1, ID: 2, Payload: []byte(`{"together":1}`)}.Packet())
		_, err := socket.Write(together)
		must(t, err)
		kinds := map[byte]int{}
		for range 4 {
			p, err := readPacket(socket)
			must(t, err)
			kinds[p.Kind]++
		}
		if kinds[wire.CONNACK] != 1 || kinds[wire.SUBACK] != 1 || kinds[wire.PUBACK] != 1 || kinds[wire.PUBLISH] != 1 {
			t.Errorf("answers by kind: %v", kinds)
		}
	})
}
