package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"

	"trellis/e2e/wire"
)

// The ways in which one of our pages carries its session.
const (
	byMQTT   = "/live mqtt"   // a WebSocket of bare MQTT
	bySocket = "/live pipe"   // a WebSocket of a pipe's frames
	byStream = "/live stream" // a pipe over requests; the one for bytes down stays open
	byPoll   = "/live poll"   // the same, asking again and again
)

// carrier is what moves a page's bytes: Read gives those that come down in order, Write brings up what is given at once.
// wire.Pipe can do the same and much more; these do nothing that costs the load's side of the machine what the server
// could use.
type carrier = io.ReadWriteCloser

// How much may come before it is acknowledged; as on a page.
const (
	ackSocket   = 32 << 10
	ackRequests = 64 << 10
)

// dialer opens the connections below everything that is measured.
type dialer func(ctx context.Context, address string) (net.Conn, error)

// openSocket opens a WebSocket of bare MQTT. A socket is a carrier as it is.
func openSocket(ctx context.Context, dial dialer, address string, header http.Header) (carrier, error) {
	socket, _, err := wire.DialSocketBy(ctx, dial, address, header)
	if err != nil {
		return nil, err
	}
	return socket, nil
}

// framed is a pipe on a WebSocket.
type framed struct {
	socket *wire.Socket
	left   []byte // came and was not read yet
	up     int64
	acked  int64
	got    atomic.Int64
}

func openFramed(ctx context.Context, dial dialer, door wire.Door) (carrier, error) {
	door.Dial = dial
	socket, err := door.DialLine(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := socket.Write(wire.Join("", 0, true)); err != nil {
		_ = socket.Close()
		return nil, fmt.Errorf("join a pipe: %w", err)
	}
	return &framed{socket: socket}, nil
}

func (f *framed) Read(into []byte) (int, error) {
	for len(f.left) == 0 {
		frame, err := f.socket.Message()
		if err != nil {
			return 0, err
		}
		const head = 1 + 8 + 8
		if len(frame) < head || frame[0] != wire.DownFrame {
			continue // told something
		}
		f.left = frame[head:]
		if got := f.got.Add(int64(len(f.left))); got-f.acked >= ackSocket {
			f.acked = got
			f.sign()
		}
	}
	n := copy(into, f.left)
	f.left = f.left[n:]
	return n, nil
}

func (f *framed) Write(b []byte) (int, error) {
	if _, err := f.socket.Write(append(wire.Numbered(wire.DataFrame, f.up, f.got.Load()), b...)); err != nil {
		return 0, err
	}
	f.up += int64(len(b))
	return len(b), nil
}

// sign tells how far we have come. When it fails, so does the next read.
func (f *framed) sign() { _, _ = f.socket.Write(wire.Numbered(wire.AckFrame, f.got.Load())) }

func (f *framed) Close() error { return f.socket.Close() }

// requests is a pipe over plain requests. Read and Write are each for one goroutine at a time.
type requests struct {
	door wire.Door
	id   string
	mode string

	ctx    context.Context // ends with the page, whatever request is under way
	cancel context.CancelFunc

	answer io.ReadCloser // that bytes come down by; nil between two
	in     *bufio.Reader
	left   []byte

	up, got atomic.Int64
	acked   int64
}

// openRequests opens a pipe over connections of its own, as a browser would: one that takes bytes down, one for the rest.
func openRequests(dial dialer, door wire.Door, mode string) (carrier, error) {
	door.HTTP = &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, address string) (net.Conn, error) { return dial(ctx, address) },
		DisableCompression: true, // a browser's headers ask for it already
	}}
	r := &requests{door: door, mode: mode}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	told, err := r.ask("/open", nil)
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	r.id = told.ID
	return r, nil
}

func (r *requests) post(path string, body []byte) (*http.Response, error) {
	q, err := http.NewRequestWithContext(r.ctx, http.MethodPost, r.door.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header = r.door.Header.Clone()
	q.Header.Set("Content-Type", "application/octet-stream")
	got := strconv.FormatInt(r.got.Load(), 10)
	switch path {
	case "/up":
		q.Header.Set("X-Pos", strconv.FormatInt(r.up.Load(), 10))
		q.Header.Set("X-Ack", got)
	case "/down":
		q.Header.Set("X-Pos", got)
		q.Header.Set("X-Mode", r.mode)
	}
	if r.id != "" {
		q.Header.Set("X-Trellis-Session", r.id)
	}
	return r.door.HTTP.Do(q)
}

// ask makes one short request.
func (r *requests) ask(path string, body []byte) (told wire.Told, err error) {
	answer, err := r.post(path, body)
	if err != nil {
		return told, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(text, &told)
	}
	if err != nil {
		return told, fmt.Errorf("%s: read the answer: %w", path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return told, fmt.Errorf("%s: %d, %s", path, answer.StatusCode, told.Reason)
	}
	return told, nil
}

func (r *requests) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		told, err := r.ask("/up", rest)
		if err != nil {
			return 0, err
		}
		rest = rest[told.Up-r.up.Swap(told.Up):]
	}
	return len(b), nil
}

func (r *requests) Read(into []byte) (int, error) {
	for len(r.left) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(into, r.left)
	r.left = r.left[n:]
	return n, nil
}

// next takes one event, of the next answer if there is none now.
func (r *requests) next() error {
	if r.answer == nil {
		answer, err := r.post("/down", nil)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			_ = answer.Body.Close()
			return fmt.Errorf("/down: %d", answer.StatusCode)
		}
		r.answer, r.in = answer.Body, bufio.NewReaderSize(answer.Body, 32<<10)
	}
	e, err := wire.ReadPipeEvent(r.in)
	switch {
	case errors.Is(err, io.EOF):
		_ = r.answer.Close()
		r.answer, r.in = nil, nil
	case err != nil:
		return err
	case e.Kind == "end":
		return &wire.CloseError{Code: e.Told.Code, Words: e.Told.Words}
	case e.Kind == "":
		r.left = e.Data
		if got := r.got.Add(int64(len(e.Data))); got-r.acked >= ackRequests {
			r.acked = got
			r.sign()
		}
	}
	return nil
}

// sign tells how far we have come, by a request beside the stream; a poll does so by itself.
func (r *requests) sign() {
	if r.mode == wire.ByStream {
		_, _ = r.ask("/up", nil) // the next one will do
	}
}

func (r *requests) Close() error {
	r.cancel()
	r.door.HTTP.CloseIdleConnections()
	return nil
}
