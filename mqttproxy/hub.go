package mqttproxy

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"trellis/access"
)

// Config says how a Hub behaves. Only Source is required.
type Config struct {
	Source Source
	Log    *slog.Logger     // nil discards
	Now    func() time.Time // the wall clock, by which Grants end; nil means time.Now

	// Good is asked once more when a session has entered: its key may have ended on the way in, when EndKey could not
	// find it yet. nil means that it has not.
	Good func(access.Grant) bool

	MaxSessions  int           // 0 means 20,000
	MaxPerKey    int           // of them with the same key; 0 means 256
	MaxPacket    int           // largest packet a page may send, without its fixed header; 0 means 128 KiB
	MaxConnect   int           // the same for CONNECT; 0 means 8 KiB
	ConnectIn    time.Duration // time from the opening to a whole CONNECT; 0 means 5 s
	WriteIn      time.Duration // time that one write may take; 0 means 10 s
	PublishIn    time.Duration // time from a message's arrival to the end of Source.Publish, after which it is not sent; 0 means 5 s
	QueueCount   int           // messages that may wait for one reader; 0 means 4,096
	QueueBytes   int           // bytes that may wait for one reader; 0 means 1 MiB
	Rate, Burst  int           // packets that a page may send: per second, and at once; 0 means 100 and 200
	UnackedUp    int           // PUBLISH packets of a page that may wait for the Source; 0 means 16
	SubscribeMax int           // filters in one session; 0 means 32
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	orInt := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	orTime := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	orInt(&c.MaxSessions, 20_000)
	orInt(&c.MaxPerKey, 256)
	orInt(&c.MaxPacket, 128<<10)
	orInt(&c.MaxConnect, 8<<10)
	orTime(&c.ConnectIn, 5*time.Second)
	orTime(&c.WriteIn, 10*time.Second)
	orTime(&c.PublishIn, 5*time.Second)
	orInt(&c.QueueCount, 4096)
	orInt(&c.QueueBytes, 1<<20)
	orInt(&c.Rate, 100)
	orInt(&c.Burst, 200)
	orInt(&c.UnackedUp, 16)
	orInt(&c.SubscribeMax, maxFilters)
	return c
}

// Stats counts what a Hub did since it was made.
type Stats struct {
	Sessions  int    // open now
	Kept      int    // messages kept for those who join
	Published uint64 // messages that came from the Source
	Delivered uint64 // messages written to readers, those for joining included
	Dropped   uint64 // messages that a full queue lost
	Accepted  uint64 // messages of pages that the Source took
	Refused   uint64 // messages of pages that the Source did not take
	Panics    uint64 // mistakes of ours that ended a session
}

// Hub holds the sessions of all pages and hands every message to those who may and want to read it.
type Hub struct {
	config Config
	born   time.Time // sessions count their time from here, by the clock that nobody sets

	mu       sync.Mutex // taken before a session's
	seq      uint64
	kept     *kept
	readers  *readers
	sessions map[*session]struct{}
	perKey   map[string]int // how many of them each key has
	started  bool
	closed   bool

	ear    atomic.Pointer[func(Message)] // of [Hub.Listen]
	active sync.WaitGroup                // sessions, and the watch
	stop   func()                        // ends the subscription and the watch; set by Start

	published, delivered, dropped, accepted, refused, panics atomic.Uint64
}

// NewHub makes a Hub; it does nothing before Start.
func NewHub(config Config) *Hub {
	return &Hub{
		config:   config.withDefaults(),
		born:     time.Now(),
		kept:     newKept(),
		readers:  newReaders(),
		sessions: map[*session]struct{}{},
		perKey:   map[string]int{},
	}
}

// Seed gives the Hub what was said before it started, oldest first, for those who join.
func (h *Hub) Seed(messages []Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range messages {
		if sendable(m) {
			h.seq++
			p := newPacket(m)
			p.seq = h.seq
			h.kept.put(p, m.Parts)
		}
	}
}

// Start begins to take messages from the Source and to watch over the sessions. Close ends both.
func (h *Hub) Start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.started || h.closed {
		return
	}
	h.started = true
	quit := make(chan struct{})
	h.active.Go(func() { h.watch(quit) })
	unsubscribe := h.config.Source.Subscribe(h.deliver)
	h.stop = func() {
		unsubscribe()
		close(quit)
	}
}

// Close ends every session with Restart and returns when all are over, or when ctx is.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	stop := h.stop
	h.stop = nil
	h.closed = true
	for s := range h.sessions {
		s.end(Restart)
	}
	h.mu.Unlock()
	if stop != nil {
		stop() // not under the lock: the Source may be inside deliver
	}
	over := make(chan struct{})
	go func() {
		h.active.Wait()
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// EndKey ends every session of the key with this id.
func (h *Hub) EndKey(jti string) {
	h.endAll(Refused, func(g access.Grant) bool { return jti != "" && g.KeyID == jti })
}

// EndSignIn ends every session of one sign-in of a browser.
func (h *Hub) EndSignIn(id string) {
	h.endAll(SignedOut, func(g access.Grant) bool { return id != "" && g.SignIn == id })
}

func (h *Hub) endAll(reason Reason, of func(access.Grant) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.sessions {
		if of(s.grant) {
			s.end(reason)
		}
	}
}

// Stats tells what the Hub did so far.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{
		Sessions: len(h.sessions), Kept: h.kept.count,
		Published: h.published.Load(), Delivered: h.delivered.Load(), Dropped: h.dropped.Load(),
		Accepted: h.accepted.Load(), Refused: h.refused.Load(), Panics: h.panics.Load(),
	}
}

func (h *Hub) clock() time.Duration { return time.Since(h.born) }

// sendable says whether m can be written as an MQTT packet at all.
func sendable(m Message) bool {
	return m.Topic != "" && len(m.Topic) <= math.MaxUint16 && len(m.Payload) < 16<<20
}

// deliver hands m to everybody who reads its topic. It never waits for a reader.
func (h *Hub) deliver(m Message) {
	if !sendable(m) {
		return
	}
	p := newPacket(m)
	h.published.Add(1)
	if hear := h.ear.Load(); hear != nil {
		(*hear)(m)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	p.seq = h.seq
	h.kept.put(p, m.Parts)
	found := h.readers.find(m.Topic)
	for _, qos := range [...]byte{1, 0} { // who reads by two filters gets the better one, once
		for _, a := range found {
			for _, s := range a.by[qos] {
				if s.seen != p.seq {
					s.seen = p.seq
					s.push(item{packet: p, qos: qos})
				}
			}
		}
	}
}

// unrecordedEvery is how often a page is told that messages are not recorded, while that goes on.
const unrecordedEvery = time.Second

// Unrecorded tells those who read a topic that a message on it, which they may have been shown, will not be on record.
func (h *Hub) Unrecorded(topic string) {
	now := h.clock()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.readers.find(topic) {
		for _, side := range a.by {
			for _, s := range side {
				if s.unrecorded == 0 || now-s.unrecorded >= unrecordedEvery {
					s.unrecorded = max(now, 1)
					s.say(unrecordedNotice())
				}
			}
		}
	}
}

// enter makes s one of the sessions, or says why it may not be.
func (h *Hub) enter(s *session) (Reason, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return Restart, false
	case s.grant.Ended(h.config.Now()):
		return Refused, false
	case h.perKey[s.grant.KeyID] >= h.config.MaxPerKey:
		return TooManyOfKey, false
	case len(h.sessions) >= h.config.MaxSessions:
		return TooMany, false
	}
	h.sessions[s] = struct{}{}
	if s.grant.KeyID != "" {
		h.perKey[s.grant.KeyID]++
	}
	h.active.Add(1)
	return 0, true
}

func (h *Hub) leave(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers.removeAll(s)
	delete(h.sessions, s)
	if h.perKey[s.grant.KeyID]--; h.perKey[s.grant.KeyID] <= 0 {
		delete(h.perKey, s.grant.KeyID)
	}
	h.active.Done()
}

// join makes s a reader of what was granted and hands it, in the same moment, the last values: nothing is missed between
// the two and nothing comes twice.
func (h *Hub) join(s *session, id uint16, wanted []asked, codes []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var filters [2][]string
	var last *audience
	for i, a := range wanted {
		if codes[i] == subackRefused || a.filter == sessionTopic {
			continue
		}
		if len(s.reads) >= h.config.SubscribeMax {
			codes[i] = subackRefused
			continue
		}
		last = h.readers.add(s, a.filter, codes[i])
		filters[codes[i]] = append(filters[codes[i]], a.filter)
	}
	var at [2][]*packet
	switch {
	case last == nil:
	case len(filters[0])+len(filters[1]) == 1:
		at[last.qosOf(s)] = h.lastOf(last)
	default:
		at = h.lastOfMany(filters)
	}
	s.joined(appendAck(nil, typeSuback, id, codes...), at, 2*h.kept.count+1024)
}

// lastOf gives the kept messages of one audience. Those who join between two messages share one list.
func (h *Hub) lastOf(a *audience) []*packet {
	if a.last == nil || a.lastOf != h.kept.version {
		a.last, a.lastOf = h.kept.matching([]string{a.filter}), h.kept.version
	}
	return a.last
}

// lastOfMany gives the kept messages for several filters at once, each message once and at the better QoS.
func (h *Hub) lastOfMany(filters [2][]string) (at [2][]*packet) {
	better := h.kept.matching(filters[1])
	taken := make(map[*packet]bool, len(better))
	for _, p := range better {
		taken[p] = true
	}
	at[1] = better
	for _, p := range h.kept.matching(filters[0]) {
		if !taken[p] {
			at[0] = append(at[0], p)
		}
	}
	return at
}

func (h *Hub) unjoin(s *session, filters []asked) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range filters {
		h.readers.remove(s, a.filter)
	}
}

// Serve holds one page's session on this carrier until it is over, and says why it ended. The carrier is ended too.
// It ends when ctx does: with the Reason that is ctx's cause, else with Restart.
func (h *Hub) Serve(ctx context.Context, carrier Carrier, g access.Grant) Reason {
	s := &session{hub: h, carrier: carrier, grant: g, done: make(chan struct{}), release: func() {}}
	_, s.judged = carrier.(silenceJudge)
	s.opened = h.clock()
	if reason, ok := h.enter(s); !ok {
		carrier.End(reason)
		return reason
	}
	defer h.leave(s)
	defer func() { s.release() }()
	if h.config.Good != nil && !h.config.Good(g) {
		s.end(Refused)
	}
	defer context.AfterFunc(ctx, func() { s.end(causeOf(ctx)) })()
	s.end(s.listen(ctx))
	s.workers.Wait()
	return s.reason
}
