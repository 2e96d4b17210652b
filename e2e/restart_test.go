package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// returning is a page that comes back by itself. It waits between its tries exactly as the page's own code does: full
// jitter from half a second, doubling to half a minute (web/src/state.ts). The browser's code itself is not run a thousand
// times over here.
type returning struct {
	door    wire.Door
	topic   string
	back    chan<- time.Time // when the first value after a connect was there
	refused chan<- string    // what else than a restart or nobody there was said
}

func (r returning) live(ctx context.Context) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		served, err := r.connect(ctx)
		if served {
			attempt = 1
		}
		var ended *wire.CloseError
		if errors.As(err, &ended) && ended.Code != 4012 && ended.Code != 1001 && ctx.Err() == nil {
			r.refused <- err.Error()
		}
		most := min(30*time.Second, time.Second<<min(attempt, 10))
		pause := time.NewTimer(500*time.Millisecond + rand.N(most-500*time.Millisecond))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// connect holds one session until it ends. served says that it had come to its first value.
func (r returning) connect(ctx context.Context) (served bool, err error) {
	trying, cancel := context.WithTimeout(ctx, prompt)
	defer cancel()
	socket, err := r.door.DialLine(trying)
	if err != nil {
		if strings.Contains(err.Error(), "the server answered") {
			r.refused <- err.Error()
		}
		return false, err
	}
	defer socket.Close()
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	login := wire.Login{ClientID: "page", KeepAlive: 60}.Packet()
	hello := append(login, wire.Subscribe(1, 0, r.topic)...)
	for _, frame := range [][]byte{wire.Join("", 0, true), append(wire.Numbered(wire.DataFrame, 0, 0), hello...)} {
		if _, err := socket.Write(frame); err != nil {
			return false, err
		}
	}
	for {
		frame, err := socket.Message()
		if err != nil {
			return served, err
		}
		if !served && strings.Contains(string(frame), r.topic) {
			served = true
			r.back <- time.Now()
		}
	}
}

func TestAThousandPagesComeBackAfterARestart(t *testing.T) {
	const keys, each = 5, 200
	s := start(t, "--max-pages-per-address", fmt.Sprint(2*keys*each))
	back, refused := make(chan time.Time, 2*keys*each), make(chan string, 2*keys*each)
	ctx, cancel := context.WithCancel(t.Context())
	var pages sync.WaitGroup
	defer pages.Wait()
	defer cancel()
	for i := range keys {
		k := s.addKey(fmt.Sprintf("shed-%d", i))
		device := s.device(k, "#device")
		must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(`{"data":{"value":1}}`)}))
		device.Leave()
		page := s.browser()
		page.signIn(k)
		door := page.door(s.url)
		for range each {
			pages.Go(func() { returning{door, k.topic("publish"), back, refused}.live(ctx) })
		}
	}
	await := func(within time.Duration) (times []time.Time) {
		late := time.After(within)
		for len(times) < keys*each {
			select {
			case at := <-back:
				times = append(times, at)
			case why := <-refused:
				t.Errorf("a page was refused: %s", why)
			case <-late:
				t.Fatalf("%d of %d pages were there after %v", len(times), keys*each, within)
			}
		}
		return times
	}
	await(time.Minute)
	if code := s.stop(); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
	stopped := time.Now()
	s.start()
	again := time.Now()
	times := await(time.Minute)
	slices.SortFunc(times, time.Time.Compare)
	t.Logf("the server was away for %v; of 1,000 pages the first was back %v after that, half after %v, all after %v\n%s",
		again.Sub(stopped).Round(time.Millisecond), since(again, times[0]), since(again, times[len(times)/2]), since(again, times[len(times)-1]), histogram(again, times))
	if spread := times[len(times)*9/10].Sub(times[len(times)/10]); spread < 200*time.Millisecond {
		t.Errorf("eight of ten came back within %v", spread)
	}
}

func since(from, at time.Time) time.Duration { return at.Sub(from).Round(time.Millisecond) }

// histogram draws how many pages were back in each half second.
func histogram(from time.Time, times []time.Time) string {
	const step = 500 * time.Millisecond
	counts := map[int]int{}
	last := 0
	for _, at := range times {
		n := max(0, int(at.Sub(from)/step))
		counts[n]++
		last = max(last, n)
	}
	var out strings.Builder
	for n := range last + 1 {
		_, _ = fmt.Fprintf(&out, "%5.1f s %4d %s\n", (time.Duration(n) * step).Seconds(), counts[n], strings.Repeat("#", counts[n]/10))
	}
	return out.String()
}
