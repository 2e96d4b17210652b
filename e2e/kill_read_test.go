package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"trellis/e2e/wire"
)

const (
	readRounds   = 50
	roundNumbers = 1_000_000 // a number says its round, its publisher, and which it is
	eachNumbers  = 100_000
)

// point is one step of a range.
type point struct {
	At        time.Time
	Low, High float64
	N         int64
}

// reader asks a server again and again, and remembers every answer.
type reader struct {
	t      testing.TB
	site   string
	key    key
	client *http.Client
	began  time.Time

	messages map[string]string         // by when they were received and their number: what they were
	steps    map[bool]map[string]point // of hours and of minutes, by their time
}

func newReader(s *server, k key) *reader {
	r := &reader{t: s.t, site: s.url, key: k, client: &http.Client{Timeout: prompt}, began: time.Now().UTC().Truncate(time.Hour)}
	s.t.Cleanup(r.client.CloseIdleConnections)
	r.fresh()
	return r
}

func (r *reader) fresh() {
	r.messages, r.steps = map[string]string{}, map[bool]map[string]point{true: {}, false: {}}
}

// ask reads an answer of the record; false where the server did not give a whole one.
func (r *reader) ask(ctx context.Context, what string, query url.Values, into any) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.site+"/api/history/"+what+"?"+query.Encode(), nil)
	if err != nil {
		r.t.Error(err)
		return false
	}
	request.Header.Set("Authorization", "Bearer "+r.key.Key)
	answer, err := r.client.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return false
	}
	if err := json.Unmarshal(text, into); err != nil {
		r.t.Errorf("%s: %v in %.200q", what, err, text)
		return false
	}
	return true
}

// page remembers one page of messages and gives the cursor of the next.
func (r *reader) page(ctx context.Context, cursor string, from time.Time, into map[string]string) (next string, ok bool) {
	var page struct {
		Messages []struct {
			Received time.Time
			Message  json.RawMessage
		}
		Next string
	}
	query := url.Values{"limit": {"1000"}, "from": {from.Format(time.RFC3339Nano)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if !r.ask(ctx, "messages", query, &page) {
		return "", false
	}
	for _, m := range page.Messages {
		name := m.Received.Format(time.RFC3339Nano) + " " + string(opened(r.t, m.Message).Data)
		if was, twice := into[name]; twice && was != string(m.Message) {
			r.t.Errorf("the message %s was %s and is %s", name, was, m.Message)
		}
		into[name] = string(m.Message)
	}
	return page.Next, true
}

// all reads every message since a moment.
func (r *reader) all(from time.Time) map[string]string {
	r.t.Helper()
	found := map[string]string{}
	for cursor := ""; ; {
		next, ok := r.page(r.t.Context(), cursor, from, found)
		if !ok {
			r.t.Fatal("the record is not readable after a start")
		}
		if cursor = next; cursor == "" {
			return found
		}
	}
}

// drawn reads the minutes, or the hours.
func (r *reader) drawn(ctx context.Context, hours bool) (map[string]point, bool) {
	query := url.Values{"entity": {"gauge"}, "reading": {"level"}, "from": {r.began.Format(time.RFC3339)}}
	query.Set("to", r.began.Add(2*time.Hour).Format(time.RFC3339))
	query.Set("points", "120")
	if hours {
		query.Set("points", "1")
	}
	var answer struct{ Points []point }
	if !r.ask(ctx, "range", query, &answer) {
		return nil, false
	}
	found := map[string]point{}
	for _, p := range answer.Points {
		found[p.At.Format(time.RFC3339)] = p
	}
	return found, true
}

// read asks until ctx ends or the server is gone.
func (r *reader) read(ctx context.Context, from time.Time) {
	pace := time.NewTicker(25 * time.Millisecond) // faster is refused
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		if n%2 == 0 {
			r.page(ctx, "", from, r.messages)
			continue
		}
		hours := n%4 == 1
		found, _ := r.drawn(ctx, hours)
		for at, p := range found {
			r.steps[hours][at] = p
		}
	}
}

// check compares what was read and acknowledged with what is there now.
func (r *reader) check(number int, from time.Time, acked []int) {
	r.t.Helper()
	there := r.all(from)
	for name, was := range r.messages {
		if is, still := there[name]; !still || is != was {
			r.t.Errorf("round %d: the message %s had been read and is %q now", number, name, is)
		}
	}
	times := map[int]int{}
	for _, m := range there {
		times[level(r.t, m)]++
	}
	for _, n := range acked {
		if times[n] != 1 {
			r.t.Errorf("round %d: %d was acknowledged and is on record %d times", number, n, times[n])
		}
	}
	for _, hours := range []bool{false, true} {
		is, ok := r.drawn(r.t.Context(), hours)
		if !ok {
			r.t.Fatal("no range after a start")
		}
		for at, was := range r.steps[hours] {
			if p := is[at]; p.N < was.N || p.Low > was.Low || p.High < was.High {
				r.t.Errorf("round %d: what was drawn of %s had been %+v and is %+v (hours: %v)", number, at, was, p, hours)
			}
		}
	}
}

func level(t testing.TB, m string) int {
	var data struct{ Level int }
	decode(t, opened(t, []byte(m)).Data, &data)
	return data.Level
}

// checkLevels waits until all of them are on record, and each once.
func (s *server) checkLevels(k key, want ...int) {
	s.t.Helper()
	times := map[int]int{}
	for until := time.Now().Add(prompt); time.Now().Before(until); <-time.After(100 * time.Millisecond) {
		clear(times)
		for _, r := range recorded(s.t, s.data, k.topic("publish"), 100_000) {
			times[level(s.t, string(r.Payload))]++
		}
		missing := 0
		for _, n := range want {
			if times[n] == 0 {
				missing++
			}
		}
		if missing == 0 {
			break
		}
	}
	for _, n := range want {
		if times[n] != 1 {
			s.t.Errorf("%d is on record %d times", n, times[n])
		}
	}
}

// measure publishes numbers at QoS 1 until the connection breaks, and returns those that were acknowledged.
func measure(c *wire.Client, topic string, first int, started func()) (acked []int) {
	sent := uint16(0)
	for waiting := 0; ; {
		for ; waiting < underway && sent < perRoundMax; waiting++ {
			sent++
			payload := fmt.Appendf(nil, `{"msg_type":"publish","data":{"level":%d}}`, first+int(sent))
			if c.Send(wire.Message{Topic: topic, QoS: 1, ID: sent, Payload: payload}.Packet()) != nil {
				return acked
			}
		}
		if waiting == 0 {
			return acked
		}
		p, err := c.Packet(prompt)
		if err != nil {
			return acked
		}
		if p.Kind == wire.PUBACK {
			acked = append(acked, first+int(p.ID()))
			waiting--
			started()
		}
	}
}

// measured loads the server while somebody reads, and kills it in the middle of both.
func (s *server) measured(k key, r *reader, number int) (from time.Time, acked []int) {
	s.t.Helper()
	from = time.Now().UTC().Add(-time.Second)
	r.fresh()
	var all sync.Mutex
	var busy sync.WaitGroup
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	for p := range publishers {
		c := s.device(k, fmt.Sprintf("#%d", p))
		busy.Go(func() {
			mine := measure(c, k.topic("publish"), number*roundNumbers+p*eachNumbers, begin)
			all.Lock()
			defer all.Unlock()
			acked = append(acked, mine...)
		})
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	busy.Go(func() { r.read(ctx, from) })
	select {
	case <-begun:
	case <-time.After(prompt):
		s.t.Errorf("nothing was acknowledged in round %d", number)
	}
	<-time.After(time.Duration(50+rand.IntN(300)) * time.Millisecond) // where exactly is what the rounds try out
	s.kill()
	cancel()
	busy.Wait()
	return from, acked
}

// TestKillTakesNothingBack: what the record was seen to hold once it holds after every crash, and it draws what it holds.
func TestKillTakesNothingBack(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	s := start(t)
	gauge := s.addKey("gauge")
	r := newReader(s, gauge)
	total, read, slowest := 0, 0, time.Duration(0)
	for number := range readRounds {
		from, acked := s.measured(gauge, r, number)
		again := time.Now()
		s.start()
		slowest = max(slowest, time.Since(again))
		r.check(number, from, acked)
		total, read = total+len(acked), read+len(r.messages)
		if t.Failed() {
			break
		}
	}
	r.checkSums()
	if total < readRounds*10 || read < readRounds*10 {
		t.Errorf("only %d messages acknowledged and %d read in %d rounds: this proves nothing", total, read, readRounds)
	}
	t.Logf("%d rounds, %d acknowledged messages, %d read before the crash, slowest start %v", readRounds, total, read, slowest)
}

// checkSums holds what is drawn to what was recorded, to the last message.
func (r *reader) checkSums() {
	r.t.Helper()
	recorded := int64(len(r.all(r.began)))
	for _, hours := range []bool{false, true} {
		drawn, _ := r.drawn(r.t.Context(), hours)
		sum := int64(0)
		for _, p := range drawn {
			sum += p.N
		}
		if sum != recorded {
			r.t.Errorf("%d messages are drawn of %d on record (hours: %v)", sum, recorded, hours)
		}
	}
}
