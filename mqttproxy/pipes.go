package mqttproxy

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trellis/access"
)

const (
	maxUpload  = 64 << 10  // bytes in one upload
	maxUp      = 128 << 10 // bytes that may wait for the hub
	maxUploads = 4         // requests at once that bring bytes for one pipe: one, and what a proxy doubled
	maxEvent   = 16 << 10  // bytes in one event down
	maxDown    = 64 << 10  // bytes in one frame down
	beatAgain  = 300 * time.Millisecond
)

// PipesConfig says how Pipes behave. Only Serve is required.
type PipesConfig struct {
	// Serve starts a session on a carrier and returns at once; false means that this server is stopping.
	Serve   func(c Carrier, g access.Grant) bool
	Origins []string         // further origins that count as our own: the public address
	Node    string           // this process, in the ids of its pipes; empty means "a"
	Ways    []string         // the plan: ways that pages may go, best first; none means all
	Now     func() time.Time // the clock told to pages; nil means time.Now
	Log     *slog.Logger     // nil discards

	Max        int   // pipes in all; 0 means 20,000
	PerAddress int   // pipes of one address; 0 means PagesPerAddress
	PerGrant   int   // pipes of one Grant, unless it is nobody's; 0 means 256, as many as the hub serves
	Replay     int   // bytes down that one page may leave unacknowledged; 0 means 256 KiB
	Buffered   int64 // bytes kept for all pages together; 0 means 256 MiB

	UpPerSecond int // bytes that one page may send: per second, and at once; 0 means 512 KiB and 4 MiB
	UpAtOnce    int

	Away      time.Duration // how long a pipe waits for its page; 0 means 60 s
	Silence   time.Duration // how long a page that takes bytes may say nothing; 0 means 40 s
	Life      time.Duration // the longest that a pipe lasts; 0 means any time
	JoinIn    time.Duration // time that a WebSocket has for saying which pipe it carries; 0 means 5 s
	Remember  time.Duration // how long the reason of an end is told; 0 means 15 s
	StreamFor time.Duration // one stream down; 0 means 5 min
	PollFor   time.Duration // one poll without anything to say; 0 means 20 s
	BeatEvery time.Duration // sign of life on a stream; 0 means 15 s
	WriteIn   time.Duration // time that one write may take; 0 means 10 s
	RoomIn    time.Duration // time that an upload waits for the hub; 0 means 5 s
}

func (c PipesConfig) withDefaults() PipesConfig {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if len(c.Ways) == 0 {
		c.Ways = Ways
	}
	if c.Node == "" {
		c.Node = "a"
	}
	orDefault(&c.Max, 20_000)
	orDefault(&c.PerAddress, PagesPerAddress)
	orDefault(&c.PerGrant, 256)
	orDefault(&c.Replay, 256<<10)
	orDefault(&c.Buffered, 256<<20)
	orDefault(&c.UpPerSecond, 512<<10)
	orDefault(&c.UpAtOnce, 4<<20)
	orDefault(&c.Away, time.Minute)
	orDefault(&c.Silence, 40*time.Second)
	orDefault(&c.JoinIn, 5*time.Second)
	orDefault(&c.Remember, 15*time.Second)
	orDefault(&c.StreamFor, 5*time.Minute)
	orDefault(&c.PollFor, 20*time.Second)
	orDefault(&c.BeatEvery, 15*time.Second)
	orDefault(&c.WriteIn, 10*time.Second)
	orDefault(&c.RoomIn, 5*time.Second)
	return c
}

func orDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// PagesPerAddress is how many pages one address may have open where nobody says otherwise: a school sits behind one.
const PagesPerAddress = 200

// Ways are all ways that carry a pipe, best first.
var Ways = []string{waySocket, wayStream, wayPoll}

const (
	waySocket = "socket"
	wayStream = "stream"
	wayPoll   = "poll"
)

// Visitor is who sends a request. A pipe answers only to the visitor who opened it.
type Visitor struct {
	Grant   access.Grant
	Session string // tells one sign-in from another, such as a hash of the cookie
	Address string // where the request comes from; whole networks where those count as one
}

// Pipes are all pipes of this process, found by their ids.
type Pipes struct {
	config   PipesConfig
	born     time.Time // pipes count their time from here
	buffered atomic.Int64
	limited  refusals
	panics   atomic.Uint64

	mu        sync.Mutex
	closed    bool
	byID      map[string]*pipe
	byAddress map[string]int
	byHolder  map[string]int
	lines     map[string]int           // WebSockets of each address, those included that carry nothing yet
	seated    int                      // all of them
	signedOut map[string]time.Duration // sign-ins that have ended, and when; for as long as somebody may still be on the way in
}

// NewPipes makes Pipes; nothing runs until somebody opens one.
func NewPipes(config PipesConfig) *Pipes {
	return &Pipes{
		config: config.withDefaults(), born: time.Now(), limited: newRefusals(),
		byID: map[string]*pipe{}, byAddress: map[string]int{}, byHolder: map[string]int{}, lines: map[string]int{}, signedOut: map[string]time.Duration{},
	}
}

// Close ends all pipes with Restart. Requests that are there tell their pages so and return.
func (s *Pipes) Close() {
	s.mu.Lock()
	s.closed = true
	all := make([]*pipe, 0, len(s.byID))
	for _, p := range s.byID {
		all = append(all, p)
	}
	s.mu.Unlock()
	for _, p := range all {
		p.End(Restart)
		p.watch.Stop()
	}
}

func (s *Pipes) clock() time.Duration { return time.Since(s.born) }

// open makes a pipe for a visitor, or says what there is too much of.
func (s *Pipes) open(v Visitor) (_ *pipe, refused *denial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.limited.note(refused) }()
	who := holder(v.Grant)
	switch {
	case s.closed:
		return nil, &refusedRestart
	case s.signedOut[v.Session] > 0:
		return nil, &refusedSignedOut
	case s.byAddress[v.Address] >= s.config.PerAddress:
		return nil, &refusedAddress
	case who != nobody && s.byHolder[who] >= s.config.PerGrant:
		return nil, &refusedGrant
	case len(s.byID) >= s.config.Max:
		return nil, &refusedAll
	case s.buffered.Load() >= s.config.Buffered:
		return nil, &refusedBytes
	}
	p := newPipe(s.newID(), v, s)
	s.byID[p.id] = p
	s.byAddress[v.Address]++
	s.byHolder[who]++
	return p, nil
}

// newID is made here and nowhere else: the node's name and 128 random bits.
func (s *Pipes) newID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return s.config.Node + "." + hex.EncodeToString(random[:])
}

// lookup gives the visitor's own pipe, or says why not.
func (s *Pipes) lookup(id string, v Visitor) (*pipe, *denial) {
	if p, known := s.find(id, v); known {
		return p, nil
	}
	if node, _, named := strings.Cut(id, "."); named && node != s.config.Node {
		return nil, &refusedElsewhere
	}
	return nil, &refusedUnknown
}

// find gives the visitor's own pipe. Somebody else's is as unknown as one that never was.
func (s *Pipes) find(id string, v Visitor) (*pipe, bool) {
	s.mu.Lock()
	p, known := s.byID[id]
	s.mu.Unlock()
	if !known || !p.visitor.owns(v) {
		return nil, false
	}
	return p, true
}

// findOrOpen gives the visitor's own pipe, or a new one for an empty id.
func (s *Pipes) findOrOpen(id string, v Visitor) (*pipe, *denial) {
	if id == "" {
		return s.open(v)
	}
	return s.lookup(id, v)
}

// seat lets one more WebSocket of an address in. They are more than pipes: some are on trial, some carry nothing yet.
func (s *Pipes) seat(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines[address] >= 2*s.config.PerAddress || s.seated >= 2*s.config.Max {
		s.limited.note(&refusedAddress)
		return false
	}
	s.lines[address]++
	s.seated++
	return true
}

func (s *Pipes) unseat(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	less(s.lines, address)
	s.seated--
}

// EndSignIn ends every pipe of one sign-in of a browser, those included that the hub does not serve yet, and those that
// somebody who was let in just before is about to open.
func (s *Pipes) EndSignIn(id string) {
	if id == "" {
		return
	}
	for _, p := range s.ofSignIn(id) {
		p.End(SignedOut)
	}
}

func (s *Pipes) ofSignIn(id string) (all []*pipe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	for other, at := range s.signedOut {
		if now-at > signOutFor {
			delete(s.signedOut, other)
		}
	}
	s.signedOut[id] = max(now, 1)
	for _, p := range s.byID {
		if p.visitor.Session == id {
			all = append(all, p)
		}
	}
	return all
}

// signOutFor is longer than anybody takes from being let in to opening a pipe.
const signOutFor = time.Minute

// discount lets another pipe come in the place of one that has ended.
func (s *Pipes) discount(p *pipe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncount(p)
}

func (s *Pipes) uncount(p *pipe) {
	less(s.byAddress, p.visitor.Address)
	less(s.byHolder, holder(p.visitor.Grant))
}

// forget lets go of a pipe that has ended, and of what its page did not fetch.
func (s *Pipes) forget(p *pipe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[p.id] != p {
		return
	}
	delete(s.byID, p.id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.heavy {
		s.uncount(p)
	}
	s.buffered.Add(int64(-p.down.release(p.down.end)))
}

func less(counts map[string]int, key string) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

func sameSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
