package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// ask posts to a pipe as this browser's page does.
func (b *browser) ask(path, id, body string, headers ...string) (told wire.Told, status int) {
	b.t.Helper()
	own := []string{"Origin", b.s.url, "X-Trellis-Session", id, "X-Pos", "0", "X-Ack", "0", "X-Mode", "poll"}
	r := b.do(http.MethodPost, path, body, append(own, headers...)...)
	if r.Header.Get("Content-Type") == "application/json" {
		decode(b.t, []byte(r.body), &told)
	}
	return told, r.StatusCode
}

// joins opens a WebSocket and asks to carry this pipe. It gives what came first: an answer, or the code of the end.
func joins(t *testing.T, door wire.Door, id string) (told wire.Told, code int, line *wire.Socket) {
	t.Helper()
	line, err := door.DialLine(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = line.Close() })
	_, _ = line.Write(wire.Join(id, 0, true))
	_ = line.SetReadDeadline(time.Now().Add(prompt))
	frame, err := line.Message()
	var ended *wire.CloseError
	switch {
	case errors.As(err, &ended):
		return told, ended.Code, line
	case err != nil || len(frame) == 0 || frame[0] != wire.ToldFrame:
		t.Fatalf("a join was answered % x, %v", frame, err)
	}
	must(t, json.Unmarshal(frame[1:], &told))
	return told, 0, line
}

func TestPipeIsNoUseToAThief(t *testing.T) {
	s := start(t)
	k, other := s.addKey("shed"), s.addKey("barn")
	owner, twin, thief, stranger := s.browser(), s.browser(), s.browser(), s.browser()
	owner.signIn(k)
	twin.signIn(k) // the same key, signed in elsewhere
	thief.signIn(other)
	client, pipe := owner.pipe(s.url, wire.ByPoll)
	healthy := s.device(k, "#healthy")
	must(t, healthy.Subscribe(1, k.topic("publish")))
	id := pipe.ID()
	made := func() string {
		var random [16]byte
		_, _ = rand.Read(random[:])
		return "a." + hex.EncodeToString(random[:])
	}
	for name, tt := range map[string]struct {
		who    *browser
		id     string
		status int
		code   int
	}{
		"the same key, another sign-in": {twin, id, 404, 4004},
		"another key":                   {thief, id, 404, 4004},
		"nobody":                        {stranger, id, 403, 4010},
		"an id made up":                 {owner, made(), 404, 4004},
		"no id":                         {owner, "-", 404, 4004},
		"an id of another node":         {owner, "b." + strings.TrimPrefix(id, "a."), 421, 4004},
		"an id in capitals":             {owner, strings.ToUpper(id), 421, 4004},
		"an id cut short":               {owner, id[:len(id)-1], 404, 4004},
		"a path for an id":              {owner, "../" + id, 421, 4004},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/live/up", "/live/down"} {
				told, status := tt.who.ask(path, tt.id, "\xe0\x00")
				if status != tt.status || told.Code != tt.code {
					t.Errorf("%s was answered %d, %+v; want %d and %d", path, status, told, tt.status, tt.code)
				}
			}
			if tt.id == "-" {
				return // a WebSocket's empty id opens a pipe of its own
			}
			if told, code, _ := joins(t, tt.who.door(s.url), tt.id); code != tt.code {
				t.Errorf("a WebSocket was answered %+v, %d; want %d", told, code, tt.code)
			}
		})
	}
	must(t, client.Ping()) // unharmed
	roundTrip(t, healthy, k)
}

func TestNobodyFindsAPipeByTrying(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	page.pipe(s.url, wire.ByPoll)
	for range 2000 {
		var random [16]byte
		_, _ = rand.Read(random[:])
		if told, status := page.ask("/live/down", "a."+hex.EncodeToString(random[:]), ""); status != http.StatusNotFound {
			t.Fatalf("%d %+v", status, told)
		}
	}
}

// TestOneTakesBytesDown has a second one take over: the first is told so and ends, whichever way both go.
func TestOneTakesBytesDown(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	door := page.door(s.url)
	told, _ := page.ask("/live/open", "-", "")
	stream := func() io.ReadCloser {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.url+"/live/down", nil)
		must(t, err)
		request.Header = door.Header.Clone()
		for name, value := range map[string]string{"X-Trellis-Session": told.ID, "X-Pos": "0", "X-Mode": "stream"} {
			request.Header.Set(name, value)
		}
		answer, err := door.HTTP.Do(request)
		must(t, err)
		t.Cleanup(func() { _ = answer.Body.Close() })
		return answer.Body
	}
	first := stream()
	second := stream()
	if text, _ := io.ReadAll(first); !strings.Contains(string(text), `"code":4001`) {
		t.Errorf("a stream after which another came said %s", text)
	}
	_, code, line := joins(t, door, told.ID)
	if text, _ := io.ReadAll(second); code != 0 || !strings.Contains(string(text), `"code":4001`) {
		t.Errorf("a stream after which a WebSocket came said %s", text)
	}
	if _, code, _ := joins(t, door, told.ID); code != 0 {
		t.Errorf("the next WebSocket was told %d", code)
	}
	_, err := line.Message()
	wantEnd(t, err, 4001)
}

func TestOnlyOurOwnPagesOpenPipes(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	_, pipe := page.pipe(s.url, wire.ByPoll)
	for _, origin := range foreign(s.url) {
		for _, path := range []string{"hello", "open", "up", "down"} {
			if told, status := page.ask("/live/"+path, pipe.ID(), "", "Origin", origin); status != http.StatusForbidden {
				t.Errorf("%s from %q was answered %d %+v", path, origin, status, told)
			}
		}
	}
	for _, path := range []string{"hello", "open", "up", "down"} {
		if r := page.do(http.MethodGet, "/live/"+path, "", "Origin", s.url); r.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s was answered %s", path, r.Status)
		}
		if r := page.do(http.MethodPost, "/live/"+path, "", "X-Trellis-Session", pipe.ID()); r.StatusCode != http.StatusForbidden {
			t.Errorf("%s without an Origin was answered %s", path, r.Status)
		}
	}
}
