package broker

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"

	"trellis/access"
)

// register knows every connection and counts them against the limits.
type register struct {
	limits Limits

	mu        sync.Mutex
	closed    bool
	empty     chan struct{} // closed when closed is set and visits is empty
	visits    map[*visit]struct{}
	halfOpen  *list.List         // of *visit, the oldest first
	ofAddress map[netip.Addr]int // half-open ones
	byKey     map[string][]*visit
	byClient  map[string]*visit
}

// visit is one connection, from its first byte to its last.
type visit struct {
	device  *line
	address netip.Addr   // of the device
	holder  access.Grant // set when the key has been verified; owned by ServeConn

	mu      sync.Mutex
	session *session // nil until nats has accepted it
	ended   error    // set when the visit was ended before it had a session

	// owned by the register's lock
	halfOpen    *list.Element // nil when it is not half open any more
	key, client string
}

func newRegister(l Limits) *register {
	return &register{
		limits: l, empty: make(chan struct{}), visits: map[*visit]struct{}{}, halfOpen: list.New(),
		ofAddress: map[netip.Addr]int{}, byKey: map[string][]*visit{}, byClient: map[string]*visit{},
	}
}

// enter takes in a connection that has not said anything yet. When there are too many of those the oldest gives way:
// an honest device needs milliseconds for its CONNECT, so what has waited longest is the least likely to send one.
func (r *register) enter(device *line, from netip.Addr) (v, oldest *visit, err error) {
	v = &visit{device: device, address: from}
	network := networkOf(from)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, nil, ErrClosed
	case from.IsValid() && r.ofAddress[network] >= r.limits.HalfOpenAddress,
		len(r.visits) >= r.limits.Connections+r.limits.HalfOpen:
		return nil, nil, ErrTooMany
	}
	if r.halfOpen.Len() >= r.limits.HalfOpen {
		oldest = r.halfOpen.Front().Value.(*visit)
		r.settle(oldest)
	}
	r.visits[v] = struct{}{}
	v.halfOpen = r.halfOpen.PushBack(v)
	r.ofAddress[network]++
	return v, oldest, nil
}

// admit counts a visit to its key and gives the older visit with the same client id, if there is one.
func (r *register) admit(v *visit, key, client string) (older *visit, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	older = r.byClient[client]
	switch {
	case r.closed:
		return nil, ErrStopping
	case len(r.visits)-r.halfOpen.Len() >= r.limits.Connections:
		return nil, ErrTooMany
	case older == nil && len(r.byKey[key]) >= r.limits.PerKey,
		len(r.byKey[key]) >= 2*r.limits.PerKey: // those taken over count until they have taken their leave
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
	if v.halfOpen == nil {
		return
	}
	r.halfOpen.Remove(v.halfOpen)
	v.halfOpen = nil
	network := networkOf(v.address)
	if r.ofAddress[network]--; r.ofAddress[network] <= 0 {
		delete(r.ofAddress, network)
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
	return len(r.visits) - r.halfOpen.Len()
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

func (r *register) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
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
	v.device.hangUp()
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
	return ap.Addr()
}

// networkOf is what an address is counted by: one household or machine has a whole /64 of IPv6.
func networkOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
