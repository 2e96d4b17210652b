package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestUploadsAreBounded(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	told, _ := page.ask("/live/open", "-", "")
	for name, tt := range map[string]struct {
		body    io.Reader
		headers []string
		status  int
		reason  string
	}{
		"64 KiB and a byte":            {strings.NewReader(strings.Repeat("x", 64<<10+1)), nil, 413, "too_large"},
		"10 GB, announced":             {io.LimitReader(endless{}, 10<<30), []string{"Content-Length", strconv.Itoa(10 << 30)}, 413, "too_large"},
		"no end in sight":              {endless{}, nil, 413, "too_large"},
		"packed":                       {strings.NewReader("\x1f\x8b"), []string{"Content-Encoding", "gzip"}, 415, "encoded"},
		"from a position after":        {strings.NewReader("x"), []string{"X-Pos", "1"}, 409, "gap"},
		"from a position below 0":      {strings.NewReader("x"), []string{"X-Pos", "-1"}, 400, "bad_position"},
		"from a position beyond 2⁵³":   {strings.NewReader("x"), []string{"X-Pos", "9007199254740993"}, 400, "bad_position"},
		"with what was never sent":     {strings.NewReader("x"), []string{"X-Ack", "1"}, 400, "bad_position"},
		"with an acknowledgement of 1": {strings.NewReader("x"), []string{"X-Ack", "01"}, 400, "bad_position"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/live/up", tt.body)
			must(t, err)
			r.Header = page.liveHeader()
			for _, own := range [][2]string{{"X-Trellis-Session", told.ID}, {"X-Pos", "0"}, {"X-Ack", "0"}} {
				r.Header.Set(own[0], own[1])
			}
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Set(tt.headers[i], tt.headers[i+1])
			}
			if length := r.Header.Get("Content-Length"); length != "" {
				r.ContentLength, err = strconv.ParseInt(length, 10, 64)
				must(t, err)
			}
			answer, err := page.http.Do(r)
			if err != nil {
				t.Fatal(err) // the server answers before it has read everything, and a client may hear that
			}
			defer func() { _ = answer.Body.Close() }()
			text, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != tt.status || !bytes.Contains(text, fmt.Appendf(nil, "%q", tt.reason)) {
				t.Errorf("answered %s %s; want %d and %s", answer.Status, text, tt.status, tt.reason)
			}
		})
	}
	if now, status := page.ask("/live/up", told.ID, ""); status != http.StatusOK || now.Up != 0 {
		t.Errorf("afterwards: %d %+v; want nothing taken", status, now)
	}
}

// endless is a body.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestSlowUploadsAreBounded has a page of which several uploads come a byte at a time: no more than four are listened to at
// once, none for longer than a request may take, and nobody else notices.
func TestSlowUploadsAreBounded(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	healthy := s.device(k, "#healthy")
	must(t, healthy.Subscribe(1, k.topic("publish")))
	told, _ := page.ask("/live/open", "-", "")
	head := fmt.Sprintf("POST /live/up HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nCookie: %s\r\nX-Trellis-Session: %s\r\nX-Pos: 0\r\nX-Ack: 0\r\nContent-Length: 1000\r\n\r\n",
		strings.TrimPrefix(s.url, "http://"), s.url, page.cookies(), told.ID)
	began := time.Now()
	lasted := make(chan time.Duration, 6)
	var slow sync.WaitGroup
	for range 4 {
		conn, err := net.Dial("tcp", s.listen)
		must(t, err)
		_, err = io.WriteString(conn, head)
		must(t, err)
		slow.Go(func() {
			defer func() { _ = conn.Close() }()
			over := make(chan struct{})
			go func() {
				defer close(over)
				_ = conn.SetReadDeadline(began.Add(30 * time.Second))
				_, _ = io.Copy(io.Discard, conn)
			}()
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					_, _ = conn.Write([]byte{'x'})
				case <-over:
					lasted <- time.Since(began)
					return
				}
			}
		})
	}
	for { // until all four are there, which nothing shows but this
		r, status := page.ask("/live/up", told.ID, "")
		if status == http.StatusTooManyRequests && r.Reason == "too_many_uploads" {
			break
		}
		if time.Since(began) > prompt {
			t.Fatalf("a fifth upload was answered %d %+v", status, r)
		}
	}
	roundTrip(t, healthy, k)
	slow.Wait()
	close(lasted)
	for took := range lasted {
		if took < 10*time.Second || took > 20*time.Second {
			t.Errorf("a slow upload was listened to for %v, want 15 s", took)
		}
	}
	if now, status := page.ask("/live/up", told.ID, ""); status != http.StatusOK || now.Up != 0 {
		t.Errorf("afterwards: %d %+v; want nothing taken", status, now)
	}
}
