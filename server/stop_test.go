package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"nhooyr.io/websocket"

	"trellis/mqttproxy"
)

// down takes a pipe's bytes to their end.
func down(s *site, b *http.Client, id, mode string, began chan<- struct{}) string {
	r, _ := http.NewRequest(http.MethodPost, s.URL+"/live/down", nil)
	r.Header = http.Header{"Origin": {s.URL}, "X-Trellis-Session": {id}, "X-Pos": {"0"}, "X-Mode": {mode}}
	answer, err := b.Do(r)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	close(began)
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// A page that hears of the restart comes back in a moment, and does not take this way for blocked.
func TestAStopIsToldOnEveryCarrier(t *testing.T) {
	s := newSite(t, nil)
	b := signedIn(t, s, s.key(t, "shed").Key)
	line := func(join string) *websocket.Conn {
		conn, _, err := dial(t, s, "/live", b, http.Header{"Origin": {s.URL}}, mqttproxy.PipeSubprotocol)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		if join != "" {
			_ = conn.Write(t.Context(), websocket.MessageBinary, append([]byte{1}, join...))
			if _, _, err := conn.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return conn
	}
	_, trial := post(t, s, b, "/live/open", "", "")
	sockets := map[string]*websocket.Conn{
		"that carries":      line(`{"id":"","have":0,"take":true}`),
		"on trial":          line(`{"id":"` + trial.ID + `","have":0,"take":false}`),
		"that said nothing": line(""),
	}
	bodies := map[string]chan string{}
	for _, mode := range []string{"stream", "poll"} {
		_, opened := post(t, s, b, "/live/open", "", "")
		bodies[mode] = make(chan string, 1)
		began := make(chan struct{})
		go func() { bodies[mode] <- down(s, b, opened.ID, mode, began) }()
		if mode == "stream" {
			<-began // a poll answers once it has something to say; it may come as late as it likes
		}
	}
	if err := s.server.Close(context.Background()); err != nil {
		t.Error(err)
	}
	for name, conn := range sockets {
		if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != 4012 {
			t.Errorf("a WebSocket %s was told %v", name, err)
		}
	}
	for mode, body := range bodies {
		if text := <-body; !strings.Contains(text, `"code":4012`) {
			t.Errorf("a %s was told %q", mode, text)
		}
	}
	if status, said := post(t, s, b, "/live/open", "", ""); status != http.StatusServiceUnavailable || said.Code != 4012 {
		t.Errorf("a new page was told %d %+v", status, said)
	}
}
