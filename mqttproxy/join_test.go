package mqttproxy

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// TestJoiningMissesAndDoublesNothing lets readers join at random moments of a random stream. Each must see the last
// message of every (topic, part) as it was at that moment, oldest first, and then everything that followed.
func TestJoiningMissesAndDoublesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		source := &fakeSource{}
		h := NewHub(Config{Source: source, QueueCount: 1 << 20, QueueBytes: 1 << 30})
		h.Start()
		defer h.Close(t.Context())
		model := &stream{}
		var readers []*joiner
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			if len(readers) < 6 && rapid.IntRange(0, 5).Draw(rt, "join") == 0 {
				j := &joiner{page: open(t, h, testGrant(), true), qos: byte(rapid.IntRange(0, 1).Draw(rt, "qos"))}
				j.filter = rapid.SampledFrom([]string{"acme/local/+/publish", "acme/local/a/publish"}).Draw(rt, "filter")
				j.page.subscribe(j.qos, j.filter)
				j.want = model.last(j.filter)
				readers = append(readers, j)
				continue
			}
			m := model.say(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "topic"),
				rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"p", "q", "r"}), 0, 3, rapid.ID[string]).Draw(rt, "parts"))
			source.deliver(m)
			for _, j := range readers {
				if j.filter == "acme/local/+/publish" || j.filter == m.Topic {
					j.want = append(j.want, "live "+string(m.Payload))
				}
			}
		}
		for _, j := range readers {
			if got := j.read(len(j.want)); !slices.Equal(got, j.want) {
				rt.Fatalf("%s at QoS %d read %v, want %v", j.filter, j.qos, got, j.want)
			}
			j.page.leave()
			if _, rest, more, _ := cut(j.page.got[j.page.parsed:], 1<<20); more {
				rt.Fatalf("more than was said: % x", rest)
			}
		}
	})
}

type joiner struct {
	page   *page
	filter string
	qos    byte
	want   []string
}

func (j *joiner) read(n int) (got []string) {
	for range n {
		m := j.page.message()
		how := "live "
		if m.retain {
			how = "kept "
		}
		got = append(got, how+string(m.payload))
		if m.qos == 1 {
			j.page.say(appendAck(nil, typePuback, m.id))
		}
	}
	return got
}

// stream is the plain model of what was said.
type stream struct{ all []Message }

func (s *stream) say(key string, parts []string) Message {
	m := Message{Topic: "acme/local/" + key + "/publish", Payload: []byte(strconv.Itoa(len(s.all))), Parts: parts}
	s.all = append(s.all, m)
	return m
}

func (s *stream) last(filter string) (want []string) {
	seen := map[string]bool{}
	for _, m := range slices.Backward(s.all) {
		isLast := false
		for _, part := range m.Parts {
			isLast = isLast || !seen[m.Topic+" "+part]
			seen[m.Topic+" "+part] = true
		}
		if isLast && (filter == "acme/local/+/publish" || filter == m.Topic) {
			want = append(want, "kept "+string(m.Payload))
		}
	}
	slices.Reverse(want)
	return want
}

func TestSeveralFiltersInOneSubscribeBringEachLastValueOnce(t *testing.T) {
	h, source := newTestHub(t, Config{})
	h.Seed([]Message{
		{Topic: "acme/local/a/publish", Payload: []byte("0"), Parts: []string{"p"}},
		{Topic: "acme/local/k1/messages", Payload: []byte("1"), Parts: []string{"p"}},
	})
	source.deliver(Message{Topic: "acme/local/b/publish", Payload: []byte("2"), Parts: []string{"p"}})
	p := open(t, h, testGrant(), true)
	p.subscribe(0, "acme/local/a/publish", "acme/local/+/publish", "acme/local/k1/messages")
	for i := range 3 {
		if m := p.message(); string(m.payload) != fmt.Sprint(i) || !m.retain {
			t.Errorf("got %+v", m)
		}
	}
	p.leave()
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	names := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprint("part", i))
		}
		return all
	}
	for name, tt := range map[string]struct {
		say  func(put func(topic string, size int, parts ...string))
		want int
	}{
		"nothing without parts":     {func(put func(string, int, ...string)) { put("a", 1) }, 0},
		"one for all its parts":     {func(put func(string, int, ...string)) { put("a", 1, "x", "y", "x") }, 1},
		"parts told again":          {func(put func(string, int, ...string)) { put("a", 1, "x", "y"); put("a", 1, "x"); put("a", 1, "y") }, 2},
		"256 parts of a topic":      {func(put func(string, int, ...string)) { each(names(300), func(p string) { put("a", 1, p) }) }, 256},
		"more parts at once":        {func(put func(string, int, ...string)) { put("a", 1, "x"); put("a", 1, names(300)...) }, 1},
		"256 KiB of a topic":        {func(put func(string, int, ...string)) { each(names(8), func(p string) { put("a", 60<<10, p) }) }, 4},
		"one that is too big":       {func(put func(string, int, ...string)) { put("a", 300<<10, "x") }, 0},
		"10,000 topics, not 10,001": {func(put func(string, int, ...string)) { each(names(10_001), func(p string) { put(p, 1, "x") }) }, 10_000},
		"another topic is not touched": {func(put func(string, int, ...string)) {
			put("b", 1, "x")
			each(names(300), func(p string) { put("a", 1, p) })
		}, 257},
	} {
		t.Run(name, func(t *testing.T) {
			k, seq := newKept(), uint64(0)
			tt.say(func(topic string, size int, parts ...string) {
				seq++
				p := newPacket(Message{Topic: topic, Payload: make([]byte, size)})
				p.seq = seq
				k.put(p, parts)
			})
			all := k.matching([]string{"#"})
			if len(all) != tt.want || k.count != tt.want {
				t.Errorf("kept %d (%d), want %d", len(all), k.count, tt.want)
			}
			if !slices.IsSortedFunc(all, func(a, b *packet) int { return int(a.seq) - int(b.seq) }) {
				t.Error("not oldest first")
			}
		})
	}
}

func each(all []string, do func(string)) {
	for _, s := range all {
		do(s)
	}
}
