package broker

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// register knows every connection and counts them against the limits.
type register struct {
	limits Limits

	mu        sync.Mutex
	closed    bool
	empty     chan struct{} // closed when closed is set and visits is empty
	visits    map[*visit]struct{}
	halfOpen  int
	ofAddress map[netip.Addr]int // half-open ones
	byKey     map[string][]*visit
	byClient  map[string]*visit
}

// visit is one connection, from its first byte to its last.
type visit struct {
	device  net.Conn
	address netip.Addr // of the device; an IPv6 address is counted by its /64

	mu      sync.Mutex
	session *session // nil until nats has accepted it
	ended   error    // set when the visit was ended before it had a session

	// owned by the register's lock
	halfOpen    bool
	key, client string
}

func newRegister(l Limits) *register {
	return &register{
		limits: l, empty: make(chan struct{}), visits: map[*visit]struct{}{},
		ofAddress: map[netip.Addr]int{}, byKey: map[string][]*visit{}, byClient: map[string]*visit{},
	}
}

// enter takes in a connection that has not said anything yet.
func (r *register) enter(device net.Conn) (*visit, error) {
	v := &visit{device: device, address: addressOf(device), halfOpen: true}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, ErrClosed
	case r.halfOpen >= r.limits.HalfOpen, r.ofAddress[v.address] >= r.limits.HalfOpenAddress,
		len(r.visits) >= r.limits.Connections+r.limits.HalfOpen:
		return nil, ErrTooMany
	}
	r.visits[v] = struct{}{}
	r.halfOpen++
	r.ofAddress[v.address]++
	return v, nil
}

// admit counts a visit to its key and gives the older visit with the same client id, if there is one.
func (r *register) admit(v *visit, key, client string) (older *visit, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	older = r.byClient[client]
	switch {
	case r.closed:
		return nil, ErrStopping
	case len(r.visits)-r.halfOpen >= r.limits.Connections:
		return nil, ErrTooMany
	case older == nil && len(r.byKey[key]) >= r.limits.PerKey:
		return nil, ErrTooManyOfKey
	}
	r.settle(v)
	v.key, v.client = key, client
	r.byKey[key] = append(r.byKey[key], v)
	r.byClient[client] = v
	return older, nil
}

// settle ends v's being half open.
func (r *register) settle(v *visit) {
	if !v.halfOpen {
		return
	}
	v.halfOpen = false
	r.halfOpen--
	if r.ofAddress[v.address]--; r.ofAddress[v.address] <= 0 {
		delete(r.ofAddress, v.address)
	}
}

func (r *register) leave(v *visit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle(v)
	delete(r.visits, v)
	if r.byClient[v.client] == v {
		delete(r.byClient, v.client)
	}
	if all := r.byKey[v.key]; v.key != "" {
		if all = slices.DeleteFunc(all, func(o *visit) bool { return o == v }); len(all) == 0 {
			delete(r.byKey, v.key)
		} else {
			r.byKey[v.key] = all
		}
	}
	if r.closed && len(r.visits) == 0 {
		close(r.empty)
	}
}

func (r *register) ofKey(key string) []*visit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.byKey[key])
}

func (r *register) live() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.visits) - r.halfOpen
}

// close refuses newcomers from now on and gives those who are still here.
func (r *register) close() []*visit {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	all := make([]*visit, 0, len(r.visits))
	for v := range r.visits {
		all = append(all, v)
	}
	if len(all) == 0 {
		close(r.empty)
	}
	return all
}

func (r *register) wait(ctx context.Context) error {
	select {
	case <-r.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end ends the visit for a reason that is not the device's doing, at whatever stage it is.
func (v *visit) end(reason error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.session != nil {
		v.session.end(reason)
		return
	}
	if v.ended == nil {
		v.ended = reason
	}
	v.device.Close()
}

// begin binds a session to the visit, unless the visit was ended meanwhile.
func (v *visit) begin(s *session) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended == nil {
		v.session = s
	}
	return v.ended
}

// why gives the reason for which the visit was ended from outside, else the reason seen.
func (v *visit) why(seen error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended != nil {
		return v.ended
	}
	return seen
}

func addressOf(c net.Conn) netip.Addr {
	remote := c.RemoteAddr()
	if remote == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return netip.Addr{}
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
