package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"trellis/e2e/wire"
)

func plainly(_ context.Context, address string) (net.Conn, error) { return net.Dial("tcp", address) }

// upgraded answers one handshake of the example in RFC 6455, which wire uses, and hands out the connection.
func upgraded(t *testing.T) (address string, conn <-chan *bufio.ReadWriter) {
	t.Helper()
	ready := make(chan *bufio.ReadWriter, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		under, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = under.Close() })
		_, _ = fmt.Fprintf(both, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: %s\r\n\r\n", r.Header.Get("Sec-WebSocket-Protocol"))
		_ = both.Flush()
		ready <- both
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), ready
}

// down writes one frame of a server.
func down(t *testing.T, to *bufio.ReadWriter, body []byte) {
	t.Helper()
	head := binary.BigEndian.AppendUint64([]byte{0x80 | wire.BinaryFrame, 127}, uint64(len(body)))
	_, _ = to.Write(append(head, body...))
	if err := to.Flush(); err != nil {
		t.Error(err)
	}
}

// sent reads one short frame of a page.
func sent(t *testing.T, from *bufio.ReadWriter) []byte {
	t.Helper()
	head := make([]byte, 2+4)
	if _, err := io.ReadFull(from, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, head[1]&0x7f)
	if _, err := io.ReadFull(from, body); err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] ^= head[2+i&3]
	}
	return body
}

func TestAPipeOnAWebSocketAcknowledgesWhatCame(t *testing.T) {
	address, ready := upgraded(t)
	c, err := openFramed(t.Context(), plainly, wire.Door{Base: "http://" + address + "/live", Header: http.Header{}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	server := <-ready
	if got := sent(t, server); !bytes.Equal(got, wire.Join("", 0, true)) {
		t.Fatalf("first came %q", got)
	}
	if _, err := c.Write([]byte("up")); err != nil {
		t.Fatal(err)
	}
	if got := sent(t, server); !bytes.Equal(got, append(wire.Numbered(wire.DataFrame, 0, 0), "up"...)) {
		t.Fatalf("then came %q", got)
	}
	down(t, server, append([]byte{wire.ToldFrame}, `{"id":"a.1"}`...))
	long := bytes.Repeat([]byte("x"), ackSocket-1)
	down(t, server, append(wire.Numbered(wire.DownFrame, 0, 2), long...))
	down(t, server, append(wire.Numbered(wire.DownFrame, int64(len(long)), 2), "y"...))
	got := make([]byte, ackSocket)
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, append(long, 'y')) {
		t.Fatalf("other bytes came down, %v", err)
	}
	if got := sent(t, server); !bytes.Equal(got, wire.Numbered(wire.AckFrame, ackSocket)) {
		t.Errorf("acknowledged by %q", got)
	}
}

// served is a pipe's server that has something to say.
func served(t *testing.T, asked *[]string, events ...string) string {
	t.Helper()
	var up int
	mux := http.NewServeMux()
	mux.HandleFunc("POST /live/open", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id":"a.1"}`) })
	mux.HandleFunc("POST /live/up", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		up += len(body)
		*asked = append(*asked, fmt.Sprintf("up %s %s %q", r.Header.Get("X-Pos"), r.Header.Get("X-Ack"), body))
		_, _ = fmt.Fprintf(w, `{"up":%d}`, up)
	})
	mux.HandleFunc("POST /live/down", func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, fmt.Sprintf("%s %s of %s", r.Header.Get("X-Mode"), r.Header.Get("X-Pos"), r.Header.Get("X-Trellis-Session")))
		if len(events) > 0 {
			_, _ = io.WriteString(w, events[0])
			events = events[1:]
			return
		}
		_, _ = io.WriteString(w, "event: end\ndata: {\"code\":4012}\n\n")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/live"
}

func data(pos int, text string) string {
	return fmt.Sprintf("id: %d\ndata: %s\n\n", pos, base64.StdEncoding.EncodeToString([]byte(text)))
}

func TestAPipeOverRequestsGoesOnFromWhereItIs(t *testing.T) {
	beat := "event: beat\ndata: {\"up\":0}\n\n"
	much := strings.Repeat("x", ackRequests)
	for name, tt := range map[string]struct {
		mode   string
		events []string
		want   string
		asked  []string
	}{
		"by polls": {
			wire.ByPoll, []string{beat + data(0, "ab"), beat, beat + data(2, "c")}, "abc",
			[]string{`up 0 0 "hi"`, "poll 0 of a.1", "poll 2 of a.1", "poll 2 of a.1", "poll 3 of a.1"},
		},
		"by a stream, acknowledged beside it": {
			wire.ByStream, []string{beat + data(0, "ab") + data(2, much) + data(2+len(much), "c")}, "ab" + much + "c",
			[]string{`up 0 0 "hi"`, "stream 0 of a.1", fmt.Sprintf(`up 2 %d ""`, 2+len(much)), fmt.Sprintf("stream %d of a.1", 3+len(much))},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			c, err := openRequests(plainly, wire.Door{Base: served(t, &asked, tt.events...), Header: http.Header{}}, tt.mode)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte("hi")); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c)
			var end *wire.CloseError
			if !errors.As(err, &end) || end.Code != 4012 {
				t.Errorf("ended by %v", err)
			}
			if string(got) != tt.want {
				t.Errorf("%d bytes came, want %d", len(got), len(tt.want))
			}
			if strings.Join(asked, "\n") != strings.Join(tt.asked, "\n") {
				t.Errorf("asked\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(tt.asked, "\n"))
			}
		})
	}
}

func TestWhatPassesIsCounted(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	all := &pages{}
	conn := newTap(ours, all)
	go func() {
		_, _ = io.CopyN(io.Discard, theirs, 3)
		_, _ = theirs.Write([]byte("four"))
		_ = theirs.Close()
	}()
	_, _ = conn.Write([]byte("123"))
	if got, err := io.ReadAll(conn); string(got) != "four" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if all.passed.Load() != 7 {
		t.Errorf("counted %d bytes, want 7", all.passed.Load())
	}
}

func TestProxiesPassWebSocketsOn(t *testing.T) {
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			address, ready := upgraded(t)
			front, err := startProxy(name, address)
			if errors.Is(err, errMissing) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer front.stop()
			c, err := openSocket(t.Context(), plainly, "ws://"+front.address+"/ws", http.Header{"Host": {"site.example:8080"}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			down(t, <-ready, []byte("through"))
			got := make([]byte, len("through"))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "through" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
