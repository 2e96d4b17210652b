package mqttproxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// socketServer accepts sockets with these options and gives each to serve, on a goroutine of its own as the real server does.
func socketServer(t *testing.T, secure bool, o Options, serve func(*Socket)) string {
	t.Helper()
	var handlers, sockets sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer handlers.Done()
		if socket, err := Accept(w, r, o); err == nil {
			sockets.Go(func() { serve(socket) })
		}
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { handlers.Add(1); return ctx } // one request each
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() { server.Close(); handlers.Wait(); sockets.Wait() })
	return server.Listener.Addr().String()
}

// peer is a WebSocket client that can do everything wrong.
type peer struct {
	net.Conn
	r *bufio.Reader
	t *testing.T
}

func dial(t *testing.T, address string, secure bool, headers string, early ...byte) (*peer, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	request := fmt.Sprintf("GET /live HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n%s\r\n", address, headers)
	_, _ = conn.Write(append([]byte(request), early...))
	p := &peer{Conn: conn, r: bufio.NewReader(conn), t: t}
	answer, err := http.ReadResponse(p.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p, answer
}

const speaksMQTT = "Sec-WebSocket-Protocol: mqtt\r\n"

// frame reads one frame.
func (p *peer) frame() (opcode byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(p.r, head); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1])
	switch head[1] {
	case 126:
		var long [2]byte
		_, _ = io.ReadFull(p.r, long[:])
		n = uint64(binary.BigEndian.Uint16(long[:]))
	case 127:
		var long [8]byte
		_, _ = io.ReadFull(p.r, long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(p.r, payload)
	return head[0] & 0x0f, payload, err
}

// closeCode reads to the end and tells the code of the close frame; 0 means there was none.
func (p *peer) closeCode() int {
	for {
		opcode, payload, err := p.frame()
		if err != nil {
			return 0
		}
		if opcode == 8 && len(payload) >= 2 {
			_, _ = p.Write(append([]byte{0x88, 0x80 | 2, 0, 0, 0, 0}, payload[:2]...))
			return int(binary.BigEndian.Uint16(payload))
		}
	}
}

func TestHandshake(t *testing.T) {
	for name, tt := range map[string]struct {
		options Options
		headers string
		status  int
		spoken  string
	}{
		"any origin":           {Options{AnyOrigin: true}, speaksMQTT + "Origin: http://evil.example\r\n", 101, "mqtt"},
		"a foreign origin":     {Options{}, speaksMQTT + "Origin: http://evil.example\r\n", 403, ""},
		"no origin":            {Options{}, speaksMQTT, 403, ""},
		"a public origin":      {Options{Origins: []string{"https://our.example"}}, speaksMQTT + "Origin: https://our.example\r\n", 101, "mqtt"},
		"no subprotocol":       {Options{AnyOrigin: true}, "", 400, ""},
		"another subprotocol":  {Options{AnyOrigin: true}, "Sec-WebSocket-Protocol: chat, mqttv5\r\n", 400, ""},
		"an old subprotocol":   {Options{AnyOrigin: true}, "Sec-WebSocket-Protocol: mqttv3.1\r\n", 400, ""},
		"an old one permitted": {Options{AnyOrigin: true, Subprotocols: []string{"mqtt", "mqttv3.1"}}, "Sec-WebSocket-Protocol: mqttv3.1\r\n", 101, "mqttv3.1"},
		"ours among others":    {Options{AnyOrigin: true}, "Sec-WebSocket-Protocol: chat, mqtt\r\n", 101, "mqtt"},
	} {
		t.Run(name, func(t *testing.T) {
			address := socketServer(t, false, tt.options, func(s *Socket) { _ = s.Close() })
			_, answer := dial(t, address, false, tt.headers)
			if answer.StatusCode != tt.status || answer.Header.Get("Sec-WebSocket-Protocol") != tt.spoken {
				t.Errorf("answered %s, speaks %q", answer.Status, answer.Header.Get("Sec-WebSocket-Protocol"))
			}
			if got := answer.Header.Get("Sec-WebSocket-Extensions"); got != "" {
				t.Errorf("extensions %q", got)
			}
		})
	}
}

// TestBytesComeThroughUnchanged echoes messages of every size at which something changes in the frame or the buffers.
func TestBytesComeThroughUnchanged(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS ", secure), func(t *testing.T) {
			address := socketServer(t, secure, Options{AnyOrigin: true}, func(s *Socket) {
				defer s.Close()
				buffer := make([]byte, 200<<10)
				for {
					first, err := s.Read(buffer[:1])
					if err != nil {
						return
					}
					want := int(binary.BigEndian.Uint32(append([]byte{0}, mustRead(s, 3)...)))
					buffer[4] = buffer[0]
					body := mustRead(s, want)
					_, _ = s.Write(append(buffer[4:4+first:4+first], body...))
				}
			})
			p, _ := dial(t, address, secure, speaksMQTT, early(70)...)
			for i, size := range []int{70, 0, 1, 120, 123, 124, 125, 126, 127, 128, 129, 130, 250, 251, 252, 253, 254, 255, 256, 257, 4096, 65533, 65534, 65535, 65536, 131000} {
				if i > 0 {
					_, _ = p.Write(early(size))
				}
				opcode, got, err := p.frame()
				if err != nil || opcode != 2 || len(got) != size+1 {
					t.Fatalf("size %d: opcode %d, %d bytes, %v", size, opcode, len(got), err)
				}
				if !bytes.Equal(got[1:], pattern(size)) {
					t.Fatalf("size %d: bytes changed", size)
				}
			}
		})
	}
}

func mustRead(r io.Reader, n int) []byte {
	b := make([]byte, n)
	_, _ = io.ReadFull(r, b)
	return b
}

func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

func early(size int) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(size))
	head[0] = 'x'
	return masked(append(head, pattern(size)...))
}

func TestWhatASocketRefuses(t *testing.T) {
	frame := func(first byte, payload string) []byte {
		return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
	}
	large := publishPacket("acme/local/k1/publish", strings.Repeat("x", 100<<10), 0, 0)
	large = append(append(connectPacket(0), large...), large...)
	for name, tt := range map[string]struct {
		sent  []byte
		codes []int // one of these
	}{
		"a text frame":               {frame(0x81, "hello"), []int{1003}},
		"a message above the limit":  {masked(large), []int{1009}},
		"a length of 2^63":           {[]byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []int{0, 1002}},
		"a length of 2^63-1":         {append([]byte{0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, large...), []int{1009}},
		"an unmasked frame":          {[]byte{0x82, 1, 'x'}, []int{0, 1002}},
		"reserved bits":              {frame(0xc2, "x"), []int{1002}},
		"an unknown opcode":          {frame(0x83, "x"), []int{1002}},
		"a continuation of nothing":  {frame(0x80, "x"), []int{1002}},
		"a long control frame":       {append([]byte{0x89, 0xfe, 1, 0, 0, 0, 0, 0}, make([]byte, 256)...), []int{1002}},
		"empty messages":             {bytes.Repeat(frame(0x82, ""), 1000), []int{1002}},
		"empty fragments":            {append(frame(0x02, ""), bytes.Repeat(frame(0x00, ""), 100_000)...), []int{1002}},
		"a flood of pings":           {bytes.Repeat(frame(0x89, ""), 100_000), []int{1002, 0}},
		"garbage instead of MQTT":    {frame(0x82, "GET / HTTP/1.1\r\n"), []int{1002}},
		"MQTT that announces 256 MB": {frame(0x82, "\x10\xff\xff\xff\x7f"), []int{1009}},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHub(t, Config{})
			address := socketServer(t, false, Options{AnyOrigin: true}, func(s *Socket) {
				h.Serve(context.Background(), s, testGrant())
			})
			p, _ := dial(t, address, false, speaksMQTT)
			began := time.Now()
			go func() { _, _ = p.Write(tt.sent) }()
			got, fits := p.closeCode(), false
			for _, code := range tt.codes {
				fits = fits || got == code
			}
			if took := time.Since(began); !fits || took > 10*time.Second {
				t.Errorf("closed with %d after %v, want one of %v", got, took, tt.codes)
			}
		})
	}
}

func TestAPageOverARealSocket(t *testing.T) {
	h, source := newTestHub(t, Config{})
	ended := make(chan Reason, 1)
	address := socketServer(t, false, Options{}, func(s *Socket) { ended <- h.Serve(context.Background(), s, testGrant()) })
	host := "Origin: http://" + address + "\r\n"
	p, _ := dial(t, address, false, speaksMQTT+host)
	_, _ = p.Write(masked(append(connectPacket(60), subscribePacket(1, 0, "acme/local/+/publish")...)))
	for said := []byte(nil); !bytes.Contains(said, []byte{typeSuback << 4, 3, 0, 1}); { // in one frame or two
		_, got, err := p.frame()
		if said = append(said, got...); err != nil || !bytes.HasPrefix(said, []byte{0x20, 2, 0, 0}) {
			t.Fatalf("answer % x, %v", said, err)
		}
	}
	source.deliver(Message{Topic: "acme/local/a/publish", Payload: []byte("hello")})
	for seen := false; !seen; {
		_, got, err := p.frame()
		if err != nil {
			t.Fatal(err)
		}
		seen = bytes.Contains(got, []byte("hello"))
	}
	h.EndKey("k1")
	if got := p.closeCode(); got != 4003 {
		t.Errorf("closed with %d", got)
	}
	if got := <-ended; got != Refused {
		t.Errorf("ended with %v", got)
	}
}

func TestAPeerThatIgnoresTheCloseIsCutOffAfterASecond(t *testing.T) {
	h, _ := newTestHub(t, Config{})
	ended := make(chan Reason, 1)
	address := socketServer(t, false, Options{AnyOrigin: true}, func(s *Socket) { ended <- h.Serve(context.Background(), s, testGrant()) })
	p, _ := dial(t, address, false, speaksMQTT)
	_, _ = p.Write(masked(connectPacket(60)))
	_, _, _ = p.frame()
	began := time.Now()
	h.EndKey("k1")
	if got := <-ended; got != Refused || time.Since(began) > 10*time.Second {
		t.Errorf("ended with %v after %v", got, time.Since(began))
	}
}

func TestReadDeadlineIsForTheWholeAndCanBeLifted(t *testing.T) {
	for name, lifted := range map[string]bool{"kept": false, "lifted in time": true} {
		t.Run(name, func(t *testing.T) {
			result := make(chan error, 1)
			address := socketServer(t, false, Options{AnyOrigin: true}, func(s *Socket) {
				defer s.Close()
				_ = s.SetReadDeadline(time.Now().Add(time.Second))
				_, err := io.ReadFull(s, make([]byte, 1))
				if lifted {
					_ = s.SetReadDeadline(time.Time{})
				}
				if err == nil {
					_, err = io.ReadFull(s, make([]byte, 1))
				}
				result <- err
			})
			p, _ := dial(t, address, false, speaksMQTT)
			_, _ = p.Write(masked([]byte("x")))
			if !lifted {
				if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				return
			}
			<-time.After(1100 * time.Millisecond)
			_, _ = p.Write(masked([]byte("y")))
			if err := <-result; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheEndOfTheOtherSideIsEOF(t *testing.T) {
	for name, goodbye := range map[string][]byte{"says goodbye": {0x88, 0x82, 0, 0, 0, 0, 3, 232}, "just goes": nil} {
		t.Run(name, func(t *testing.T) {
			result := make(chan error, 1)
			address := socketServer(t, false, Options{AnyOrigin: true}, func(s *Socket) {
				defer s.Close()
				_, err := s.Read(make([]byte, 1))
				result <- err
			})
			p, _ := dial(t, address, false, speaksMQTT)
			if goodbye != nil {
				_, _ = p.Write(goodbye)
			} else {
				_ = p.Close()
			}
			if err := <-result; !errors.Is(err, io.EOF) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAWriteDeadlineEndsAWriteThatIsStuck(t *testing.T) {
	result := make(chan error, 1)
	address := socketServer(t, false, Options{AnyOrigin: true}, func(s *Socket) {
		defer s.Close()
		chunk := []byte(strings.Repeat("x", 64<<10))
		for {
			if err := s.Send(chunk, time.Now().Add(200*time.Millisecond)); err != nil {
				result <- err
				return
			}
		}
	})
	dial(t, address, false, speaksMQTT)
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
