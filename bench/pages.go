package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"trellis/e2e/wire"
)

// openPage opens a page's MQTT session and gives the bare connection under its WebSocket: everything that was asked has
// been answered, so that from now on only messages come.
func openPage(address string, header http.Header, login wire.Login, filter string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	socket, _, err := wire.DialSocket(ctx, address, header)
	if err != nil {
		return nil, err
	}
	client, err := wire.OpenOn(socket, login)
	if err == nil {
		err = client.Subscribe(0, filter)
	}
	if err != nil {
		_ = socket.Close()
		return nil, fmt.Errorf("open a page: %w", err)
	}
	if client.Buffered() > 0 {
		_ = socket.Close()
		return nil, errors.New("open a page: something came before the load")
	}
	_ = socket.SetDeadline(time.Time{})
	return socket.Conn, nil
}

// pages are many readers. Each has a goroutine that does little more than count.
type pages struct {
	conns   []net.Conn
	reading sync.WaitGroup

	got    atomic.Int64  // messages, over all pages
	whole  chan struct{} // told when another message has reached as many pages as there are
	timing atomic.Bool   // whether readers note how long messages took; else they read in gulps

	mu    sync.Mutex
	took  []time.Duration
	fault error
}

// openPages opens n pages, a few at a time.
func openPages(p peer, n int) (*pages, error) {
	all := &pages{conns: make([]net.Conn, n), whole: make(chan struct{}, 1)}
	var opening sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, 8)
	for worker := range errs {
		opening.Go(func() {
			for errs[worker] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				all.conns[i], errs[worker] = p.page()
			}
		})
	}
	opening.Wait()
	if err := errors.Join(errs...); err != nil {
		all.close()
		return nil, err
	}
	return all, nil
}

// read starts the readers.
func (all *pages) read() {
	for _, conn := range all.conns {
		all.reading.Go(func() {
			r := reader{pages: all, in: bufio.NewReaderSize(conn, 64<<10)}
			if err := r.run(); err != nil && !errors.Is(err, net.ErrClosed) {
				all.mu.Lock()
				if all.fault == nil {
					all.fault = err
				}
				all.mu.Unlock()
			}
		})
	}
}

// close ends all readers and gives the first thing that went wrong with one.
func (all *pages) close() error {
	for _, conn := range all.conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	all.reading.Wait()
	return all.fault
}

// count notes messages that reached one page.
func (all *pages) count(n int64) {
	size := int64(len(all.conns))
	if now := all.got.Add(n); now/size != (now-n)/size {
		select {
		case all.whole <- struct{}{}:
		default:
		}
	}
}

// gulp is how long a reader that does not measure time lets messages gather before it reads again. Without it a thousand
// readers would take more of the machine than the server that is measured, and the fastest server would be held up most.
const gulp = 10 * time.Millisecond

// reader takes apart what one page receives: frames of whole packets.
type reader struct {
	pages *pages
	in    *bufio.Reader
	took  []time.Duration
}

func (r *reader) run() error {
	defer func() {
		r.pages.mu.Lock()
		defer r.pages.mu.Unlock()
		r.pages.took = append(r.pages.took, r.took...)
	}()
	for {
		if r.in.Buffered() == 0 && !r.pages.timing.Load() {
			time.Sleep(gulp)
		}
		head, err := r.in.Peek(4)
		if err != nil {
			return err
		}
		size, skip := int(head[1]&0x7f), 2
		switch size {
		case 126:
			size, skip = int(binary.BigEndian.Uint16(head[2:])), 4
		case 127:
			return errors.New("a frame larger than any message here")
		}
		first := head[0]
		if _, err := r.in.Discard(skip); err != nil {
			return err
		}
		if size > r.in.Size() {
			return fmt.Errorf("a frame of %d bytes", size)
		}
		body, err := r.in.Peek(size)
		if err != nil {
			return err
		}
		switch first & 0x0f {
		case wire.BinaryFrame:
			if err := r.packets(body); err != nil {
				return err
			}
		case wire.CloseFrame:
			return fmt.Errorf("the server closed a page: % x %s", body[:min(2, len(body))], body[min(2, len(body)):])
		}
		if _, err := r.in.Discard(size); err != nil {
			return err
		}
	}
}

// packets counts the messages of one frame.
func (r *reader) packets(b []byte) error {
	var found int64
	for len(b) > 0 {
		size, used := binary.Uvarint(b[1:]) // MQTT writes lengths in the same way
		if used <= 0 || 1+used+int(size) > len(b) {
			return errors.New("a packet is spread over frames")
		}
		packet := b[1+used : 1+used+int(size)]
		if b[0]>>4 == wire.PUBLISH && b[0]&1 == 0 {
			found++
			if r.pages.timing.Load() {
				r.time(packet)
			}
		}
		b = b[1+used+int(size):]
	}
	if found > 0 {
		r.pages.count(found)
	}
	return nil
}

var sentMark = []byte(`"sent":`)

// time notes how long a message took from its publisher to here.
func (r *reader) time(packet []byte) {
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
