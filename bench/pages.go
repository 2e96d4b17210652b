package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"trellis/e2e/wire"
)

// page is one subscriber: a page, or a device's connection.
type page struct {
	carrier
	in *bufio.Reader
}

// entered logs in and subscribes, or closes the carrier.
func entered(c carrier, login wire.Login, filter string) (*page, error) {
	p := &page{carrier: c, in: bufio.NewReaderSize(c, 32<<10)}
	if err := p.enter(login, filter); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("enter: %w", err)
	}
	return p, nil
}

func (p *page) enter(login wire.Login, filter string) error {
	for _, ask := range []struct {
		packet []byte
		answer byte
	}{{login.Packet(), wire.CONNACK}, {wire.Subscribe(1, 0, filter), wire.SUBACK}} {
		if _, err := p.Write(ask.packet); err != nil {
			return err
		}
		answer, err := wire.ReadPacket(p.in)
		if err != nil {
			return err
		}
		if answer.Kind != ask.answer || answer.Body[len(answer.Body)-1] != 0 {
			return fmt.Errorf("packet %d says % x", answer.Kind, answer.Body)
		}
	}
	return nil
}

// opener opens one subscriber of many.
type opener func(ctx context.Context, dial dialer, n int) (*page, error)

// pages are many subscribers. Each has a goroutine that does little more than count.
type pages struct {
	all     []*page
	reach   int64  // how many of them one message reaches
	witness *pages // one more page, which is waited for, too
	running sync.WaitGroup

	got     atomic.Int64  // messages, over all pages
	whole   chan struct{} // told when another message has reached as many pages as it should
	gulping atomic.Bool   // readers let bytes gather
	timing  atomic.Bool   // readers note how long messages took
	over    chan struct{} // closed by close

	passed  atomic.Int64 // bytes over the network, both ways
	content atomic.Int64 // bytes of the messages among them

	mu    sync.Mutex
	took  []time.Duration
	fault error
}

// openWithin is how long one page may take to be there.
const openWithin = 20 * time.Second

// several does n things, a few at a time, until one fails.
func several(n int, do func(i int) error) error {
	var doing sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, 8)
	for worker := range errs {
		doing.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[worker] == nil; i = int(next.Add(1)) - 1 {
				errs[worker] = do(i)
			}
		})
	}
	doing.Wait()
	return errors.Join(errs...)
}

// openPages opens n pages and begins to read; one message reaches as many as reach.
func openPages(n, reach int, open opener) (*pages, error) {
	some := newPages(n, reach)
	if err := some.grow(0, n, open); err != nil {
		return nil, errors.Join(err, some.close())
	}
	some.begin()
	return some, nil
}

// newPages has room for n pages; grow opens them, and begin is for when all are there.
func newPages(n, reach int) *pages {
	return &pages{all: make([]*page, n), reach: int64(reach), whole: make(chan struct{}, 1), over: make(chan struct{})}
}

func (all *pages) grow(from, to int, open opener) error {
	err := several(to-from, func(i int) (err error) {
		all.all[from+i], err = all.open(open, from+i)
		return err
	})
	for _, p := range all.all[from:to] {
		if p != nil {
			all.running.Go(func() { all.read(p) })
		}
	}
	return err
}

func (all *pages) begin() { all.running.Go(all.sign) }

// openSome opens n pages that nobody reads from yet.
func openSome(n int, open opener) ([]*page, error) {
	all := make([]*page, n)
	counted := &pages{}
	err := several(n, func(i int) (err error) {
		all[i], err = counted.open(open, i)
		return err
	})
	if err != nil {
		closeAll(all)
	}
	return all, err
}

func closeAll(all []*page) {
	for _, p := range all {
		if p != nil {
			_ = p.Close()
		}
	}
}

// open opens one. What its connections are made of is closed when it takes too long.
func (all *pages) open(open opener, n int) (*page, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openWithin)
	defer cancel()
	var made []net.Conn
	var mu sync.Mutex
	defer context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range made {
			_ = conn.Close()
		}
	})()
	return open(ctx, func(_ context.Context, address string) (net.Conn, error) {
		conn, err := net.DialTimeout("tcp", address, openWithin)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		made = append(made, conn)
		return newTap(conn, all), nil
	}, n)
}

// read counts what one page receives.
func (all *pages) read(p *page) {
	r := reader{pages: all, in: p.in}
	err := r.run()
	all.mu.Lock()
	defer all.mu.Unlock()
	all.took = append(all.took, r.took...)
	select {
	case <-all.over:
	default:
		all.fault = fmt.Errorf("a page ended: %w", err)
	}
}

// signEvery is how often a page lets the server hear from it.
const signEvery = 15 * time.Second

// sign lets the server know that the pages are still there.
func (all *pages) sign() {
	tick := time.NewTicker(signEvery)
	defer tick.Stop()
	for {
		select {
		case <-all.over:
			return
		case <-tick.C:
		}
		for _, p := range all.all {
			if c, must := p.carrier.(interface{ sign() }); must {
				c.sign()
			}
		}
	}
}

// leaveIn is how long the server may take to see a page off.
const leaveIn = 3 * time.Second

// close has all pages take their leave and gives the first thing that went wrong with one. A pipe whose page is only gone
// would be kept for its coming back, and take part in whatever is measured next.
func (all *pages) close() error {
	close(all.over)
	leave(all.all)
	late := time.AfterFunc(leaveIn, func() { closeAll(all.all) })
	all.running.Wait()
	late.Stop()
	closeAll(all.all)
	return all.fault
}

// leave says goodbye for all; a page that cannot has ended already.
func leave(all []*page) {
	_ = several(len(all), func(i int) error {
		if all[i] == nil {
			return nil // it was not opened
		}
		_, _ = all[i].Write(wire.Bare(wire.DISCONNECT))
		return nil
	})
}

// count notes messages that reached one page.
func (all *pages) count(n int64) {
	if now := all.got.Add(n); now/all.reach != (now-n)/all.reach {
		select {
		case all.whole <- struct{}{}:
		default:
		}
	}
}

// reached waits until so many deliveries were made; false means that nothing comes any more.
func (all *pages) reached(n int64) bool {
	for all.got.Load() < n {
		select {
		case <-all.whole:
		case <-time.After(stuck):
			return false
		}
	}
	return all.witness == nil || all.witness.reached(n/all.reach)
}

// gulp is how long readers under load let bytes gather before they read again. Without it a thousand readers would take
// more of the machine than the server that is measured, and the fastest server would be held up most.
const gulp = 10 * time.Millisecond

// tap is the connection below a page, whatever carries it: it counts what passes, and gulps.
type tap struct {
	net.Conn
	pages   *pages
	in      *bufio.Reader
	drained bool // the last read took all that there was
}

func newTap(conn net.Conn, all *pages) *tap {
	t := &tap{Conn: conn, pages: all}
	t.in = bufio.NewReaderSize(below{t}, 32<<10)
	return t
}

func (t *tap) Read(p []byte) (int, error) { return t.in.Read(p) }

func (t *tap) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	t.pages.passed.Add(int64(n))
	return n, err
}

// below reads from the network.
type below struct{ *tap }

func (b below) Read(p []byte) (int, error) {
	if b.drained && b.pages.gulping.Load() {
		time.Sleep(gulp)
	}
	n, err := b.Conn.Read(p)
	b.drained = n < len(p)
	b.pages.passed.Add(int64(n))
	return n, err
}

// reader takes apart what one page receives.
type reader struct {
	pages       *pages
	in          *bufio.Reader
	found, size int64 // messages not yet counted, and their bytes
	took        []time.Duration
}

func (r *reader) run() error {
	for {
		first, err := r.in.ReadByte()
		if err != nil {
			return err
		}
		size, err := binary.ReadUvarint(r.in) // MQTT writes lengths in the same way
		if err != nil {
			return err
		}
		if int(size) > r.in.Size() {
			return errors.New("a packet larger than any message here")
		}
		packet, err := r.in.Peek(int(size))
		if err != nil {
			return err
		}
		if first>>4 == wire.PUBLISH && first&1 == 0 {
			r.message(packet)
		}
		if _, err := r.in.Discard(int(size)); err != nil {
			return err
		}
		if r.in.Buffered() == 0 {
			r.count()
		}
	}
}

// count tells what was found since the last time: not each message, for all readers meet there.
func (r *reader) count() {
	if r.found > 0 {
		r.pages.content.Add(r.size)
		r.pages.count(r.found)
		r.found, r.size = 0, 0
	}
}

var sentMark = []byte(`"sent":`)

// message notes one, and how long it took from its publisher to here if that is asked for.
func (r *reader) message(packet []byte) {
	r.found++
	r.size += int64(len(packet))
	if !r.pages.timing.Load() {
		return
	}
	now := time.Now()
	_, rest, found := bytes.Cut(packet, sentMark)
	end := bytes.IndexAny(rest, ",}")
	if !found || end < 0 {
		return
	}
	if nanos, err := strconv.ParseInt(string(rest[:end]), 10, 64); err == nil {
		r.took = append(r.took, now.Sub(time.Unix(0, nanos)))
	}
}
