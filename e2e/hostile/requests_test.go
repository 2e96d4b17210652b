package hostile

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRequestsAreDelayed(t *testing.T) {
	const delay = 200 * time.Millisecond
	b := newBench(t, Bad{Delay: delay})
	began := time.Now()
	_, _, err := b.post("/live/up", "a")
	if took := time.Since(began); took < delay || err != nil {
		t.Errorf("a request took %v, %v", took, err)
	}
	began = time.Now()
	b.upgrade()
	if took := time.Since(began); took < delay {
		t.Errorf("an upgrade took %v", took)
	}
}

func TestAPortalAnswersEverythingUntilItOpens(t *testing.T) {
	for how, status := range map[string]int{"page": 200, "redirect": 302} {
		b := newBench(t, Bad{Portal: how})
		if got, text, err := b.post("/live/up", "a"); got != status || err != nil || (how == "page" && !strings.Contains(text, "log in")) {
			t.Errorf("%s: %d %s %v", how, got, text, err)
		}
		if got := b.upgrade().status; got != status {
			t.Errorf("%s: an upgrade was answered %d", how, got)
		}
		if b.arrived() != "" {
			t.Errorf("%s: a request came through", how)
		}
		b.Set(Bad{})
		if got, _, err := b.post("/live/up", "a"); got != http.StatusOK || b.arrived() != "a" {
			t.Errorf("%s: open, it answered %d, %v", how, got, err)
		}
	}
}

func TestLongBodiesAreRefused(t *testing.T) {
	b := newBench(t, Bad{MaxBody: 8})
	for body, status := range map[string]int{"12345678": http.StatusOK, "123456789": http.StatusRequestEntityTooLarge} {
		if got, _, err := b.post("/live/up", body); got != status || err != nil {
			t.Errorf("%d bytes: %d, %v", len(body), got, err)
		}
	}
	if got := b.arrived(); got != "12345678" {
		t.Errorf("arrived: %s", got)
	}
}

func TestHeadersAreStripped(t *testing.T) {
	b := newBench(t, Bad{Strip: true})
	request, err := http.NewRequest(http.MethodPost, b.URL+"/live/up", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("X-Pos", "1")
	answer, err := b.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if b.header.Get("Accept") != "" || b.header.Get("X-Pos") != "1" {
		t.Errorf("the server got %v", b.header)
	}
	if answer.Header.Get("X-Accel-Buffering") != "" || answer.Header.Get("Cache-Control") != "" {
		t.Errorf("the page got %v", answer.Header)
	}
}

func TestAnswersToPostAreKept(t *testing.T) {
	for how, want := range map[string]string{"": "123456", "polite": "112341", "rude": "112231"} {
		b := newBench(t, Bad{Cache: how})
		got := ""
		for _, request := range [][2]string{{"/kept", ""}, {"/kept", ""}, {"/live/up", ""}, {"/live/up", ""}, {"/live/up", "a"}, {"/kept", ""}} {
			_, n, err := b.post(request[0], request[1])
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		if got != want {
			t.Errorf("%q: answers %s, want %s", how, got, want)
		}
	}
}

// after gives how many bytes of a stream come at once when the server has said this, and how many at its end. It waits for
// as many at once as there should be, and then a moment for more.
func after(t *testing.T, bad Bad, method, kind string, say []string, want int) (atOnce, atEnd int) {
	b := newBench(t, bad)
	for _, part := range say {
		b.say <- part
	}
	request, err := http.NewRequest(method, b.URL+"/stream?type="+kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	parts := make(chan string, 10)
	go func() { // an answer that is held back has not even a head
		defer close(parts)
		answer, err := b.client.Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		for part := range reads(answer.Body) {
			parts <- part
		}
	}()
	over := time.After(prompt)
	for waiting := true; waiting; {
		if atOnce >= want {
			over, want = time.After(moment), len(say)*1<<20
		}
		select {
		case part := <-parts:
			atOnce += len(part)
		case <-over:
			waiting = false
		}
	}
	close(b.say)
	for part := range parts {
		atEnd += len(part)
	}
	return atOnce, atEnd
}

func TestAnswersAreHeldBack(t *testing.T) {
	const events = "text/event-stream"
	long := strings.Repeat("x", 3<<10)
	for name, tt := range map[string]struct {
		bad           Bad
		method, kind  string
		say           []string
		atOnce, atEnd int
	}{
		"not at all":                    {Bad{}, "POST", events, []string{"a"}, 1, 0},
		"until the end":                 {Bad{Hold: -1}, "POST", events, []string{long, long}, 0, 6 << 10},
		"until 4 KB, less":              {Bad{Hold: 4 << 10}, "POST", events, []string{long}, 0, 3 << 10},
		"until 4 KB, more":              {Bad{Hold: 4 << 10}, "POST", events, []string{long, long}, 6 << 10, 0},
		"until 64 KB":                   {Bad{Hold: 64 << 10}, "POST", events, []string{long, long}, 0, 6 << 10},
		"those to GET, a GET":           {Bad{Hold: -1, HoldOnly: "GET"}, "GET", events, []string{"a"}, 0, 1},
		"those to GET, a POST":          {Bad{Hold: -1, HoldOnly: "GET"}, "POST", events, []string{"a"}, 1, 0},
		"all but events, events":        {Bad{Hold: -1, HoldOnly: "others"}, "POST", events, []string{"a"}, 1, 0},
		"all but events, anything else": {Bad{Hold: -1, HoldOnly: "others"}, "POST", "text/plain", []string{"a"}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			atOnce, atEnd := after(t, tt.bad, tt.method, tt.kind, tt.say, tt.atOnce)
			if atOnce != tt.atOnce || atEnd != tt.atEnd {
				t.Errorf("%d bytes came at once and %d at the end, want %d and %d", atOnce, atEnd, tt.atOnce, tt.atEnd)
			}
		})
	}
}

func TestAnswersToPollsAreKept(t *testing.T) {
	for mode, want := range map[string]time.Duration{"poll": time.Second, "stream": 0} {
		synctest.Test(t, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/live/down", nil)
			r.Header.Set("X-Mode", mode)
			began := time.Now()
			from, err := keep(r, Bad{Keep: time.Second}, strings.NewReader("a"))
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(from); string(text) != "a" || err != nil || time.Since(began) != want {
				t.Errorf("%s: %q %v after %v, want %v", mode, text, err, time.Since(began), want)
			}
		})
	}
}

func TestUploadsGoAstray(t *testing.T) {
	for name, tt := range map[string]struct {
		bad               Bad
		arrived, answered string
	}{
		"none":                    {Bad{}, "a b c d e f", "abcdef"},
		"the answer of every 3rd": {Bad{Drop: 3}, "a b c d e f", "abde"},
		"every 3rd comes late":    {Bad{Late: 3}, "a b d c e", "abde"},
		"doubled":                 {Bad{Double: true}, "a a b b c c d d e e f f", "abcdef"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, tt.bad)
			answered := ""
			for _, body := range strings.Split("abcdef", "") {
				if _, _, err := b.post("/live/up", body); err == nil {
					answered += body
				}
			}
			if got := b.arrived(); got != tt.arrived || answered != tt.answered {
				t.Errorf("arrived %s, answered %s; want %s and %s", got, answered, tt.arrived, tt.answered)
			}
		})
	}
}
