package broker

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"trellis/access"
)

// session is one device's accepted connection: the up way is checked packet by packet, the down way is nats's and passes as it is.
type session struct {
	limits    Limits
	grant     access.Grant
	client    string
	holdsWill bool
	device    *line
	upstream  *net.TCPConn

	// owned by the up way
	source     source
	pace       rate.Limiter
	filters    []string // granted and subscribed
	unfinished map[uint16]struct{}

	hold    *hold
	packets sync.Mutex // held while one packet of the device is under way
	held    []byte     // whole packets that wait, guarded by packets
	turn    chan struct{}
	heard   answers // owned by the down way

	underWay []time.Time // when nats was handed what it has not answered yet; guarded by hold.mu

	mu      sync.Mutex
	partial bool // nats has seen the beginning of a packet and not its end
	over    bool
	reason  error
	done    chan struct{}
}

func newSession(device *line, l Limits, h *hold) *session {
	return &session{
		limits: l, device: device, hold: h, done: make(chan struct{}), turn: make(chan struct{}, 1),
		source: source{from: device}, pace: *rate.NewLimiter(rate.Limit(l.Rate), l.Burst),
	}
}

// serve moves packets both ways and returns when both ways have stopped.
func (s *session) serve(b *Broker) error {
	if !s.grant.Until.IsZero() {
		ends := time.AfterFunc(time.Until(s.grant.Until), func() { s.end(ErrKeyEnded) })
		defer ends.Stop()
	}
	var down sync.WaitGroup
	down.Go(func() {
		defer s.guard(b)
		s.end(s.pumpDown())
		s.drain()
	})
	func() {
		defer s.guard(b)
		s.end(s.pumpUp())
	}()
	down.Wait()
	s.letGo()
	s.upstream.Close()
	s.source.giveBack()
	return s.reason
}

// serveNothing finishes a session whose device was gone before its first packet.
func (s *session) serveNothing() error {
	s.drain()
	s.upstream.Close()
	return s.reason
}

func (s *session) guard(b *Broker) {
	if caught := recover(); caught != nil {
		s.end(b.fault(caught))
	}
}

// end ends the session; the first reason stands. Where the end is our decision nats is told by DISCONNECT, so that no
// will fires: it would say that the device is lost, which is not so, or speak for a key that may not speak any more.
func (s *session) end(reason error) {
	if s.upstream != nil {
		s.upstream.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)) // frees a pump that holds the lock
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.over, s.reason = true, reason
	close(s.done)
	defer s.device.hangUp() // last: nats must not wait for a device's goodbye
	if s.upstream == nil {
		return
	}
	if quiet(reason) && !s.partial {
		s.upstream.Write([]byte{typeDisconnect << 4, 0})
	}
	// Nats closes its end when it has read ours to the end; pumpDown's drain waits for that.
	s.upstream.CloseWrite()
	s.upstream.SetReadDeadline(time.Now().Add(time.Second))
}

func (s *session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func quiet(reason error) bool {
	return errors.Is(reason, ErrKeyEnded) || errors.Is(reason, ErrTakenOver) || errors.Is(reason, ErrStopping)
}

// send hands bytes to nats; whole says that they end a packet.
func (s *session) send(b []byte, whole bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return s.reason
	}
	if _, err := s.upstream.Write(b); err != nil {
		s.partial = true
		return ErrBrokerCut
	}
	s.partial = !whole
	return nil
}

// pumpDown carries what nats sends to the device. A quiet connection holds only a few bytes here.
func (s *session) pumpDown() error {
	var first [128]byte
	var chunk *[]byte
	into := first[:]
	for {
		n, err := s.upstream.Read(into)
		if s.ended() {
			return nil // the device may be there still, taking its leave, and hears no more
		}
		if n > 0 {
			if answered := s.heard.in(into[:n]); answered > 0 {
				s.hold.answers(s, answered)
			}
			s.device.SetWriteDeadline(time.Now().Add(s.limits.Stalled))
			if _, err := s.device.Write(into[:n]); err != nil {
				return lostDevice(err)
			}
		}
		if err != nil {
			return ErrBrokerCut
		}
		switch full := n == len(into); {
		case full && chunk == nil:
			chunk = chunks.Get().(*[]byte)
			into = *chunk
		case !full && chunk != nil:
			chunks.Put(chunk)
			chunk, into = nil, first[:]
		}
	}
}

// drain reads nats's end to its end, so that nothing we sent is thrown away by closing over unread bytes.
func (s *session) drain() { io.Copy(io.Discard, s.upstream) }

func lostDevice(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrStalled
	}
	return ErrDeviceGone
}
