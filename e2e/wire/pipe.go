package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrEvent says that something else than a pipe's events came down.
var ErrEvent = errors.New("not an event of a pipe")

// Told is what every answer of a pipe says.
type Told struct {
	ID           string
	Up, Down, T  int64
	Code         int
	Reason       string
	Words, Nonce string
}

// PipeEvent is one event that came down: bytes and the position of the first, or a word of the server.
type PipeEvent struct {
	Kind string // "" for bytes, "beat", "end"
	Pos  int64
	Data []byte
	Told Told
}

// ReadPipeEvent reads one whole event; one that was cut off is io.ErrUnexpectedEOF.
func ReadPipeEvent(in *bufio.Reader) (e PipeEvent, err error) {
	head, err := line(in)
	if err != nil {
		return e, err
	}
	data, err := line(in)
	if err != nil {
		return e, err
	}
	if end, err := line(in); err != nil || end != "" {
		return e, errors.Join(err, ErrEvent)
	}
	value, isData := strings.CutPrefix(data, "data: ")
	if !isData {
		return e, ErrEvent
	}
	if pos, is := strings.CutPrefix(head, "id: "); is {
		if e.Pos, err = strconv.ParseInt(pos, 10, 64); err == nil {
			e.Data, err = base64.StdEncoding.DecodeString(value)
		}
	} else if e.Kind, is = strings.CutPrefix(head, "event: "); is {
		err = json.Unmarshal([]byte(value), &e.Told)
	} else {
		err = ErrEvent
	}
	if err != nil || e.Pos < 0 {
		return PipeEvent{}, errors.Join(ErrEvent, err)
	}
	return e, nil
}

func line(in *bufio.Reader) (string, error) {
	text, err := in.ReadString('\n')
	if errors.Is(err, io.EOF) && text != "" {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimSuffix(text, "\n"), err
}

// Pipe is a page's end of a pipe over plain requests, usable as a byte stream. It reads when it is asked to, and does what
// is cut again.
type Pipe struct {
	net.Conn // none: only what is below is there

	Mode string // "stream" or "poll"; may be changed between reads
	ID   string

	http     *http.Client
	base     string
	header   http.Header
	up, down int64
	left     []byte // came and not yet read
	stream   io.ReadCloser
	in       *bufio.Reader
	cancel   context.CancelFunc
	deadline time.Time
}

// DialPipe opens a pipe at http://host:port/live with a page's headers: its Cookie and Origin.
func DialPipe(client *http.Client, base, mode string, header http.Header) (*Pipe, error) {
	p := &Pipe{http: client, base: base, header: header, Mode: mode}
	told, status, err := p.Ask(context.Background(), "/open", nil)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK || told.ID == "" {
		return nil, fmt.Errorf("open a pipe: %d %+v", status, told)
	}
	p.ID = told.ID
	return p, nil
}

func (p *Pipe) post(ctx context.Context, path string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = p.header.Clone()
	r.Host = p.header.Get("Host")
	r.Header.Del("Host")
	r.Header.Set("X-Trellis-Session", p.ID)
	r.Header.Set("X-Mode", p.Mode)
	if path == "/up" {
		r.Header.Set("X-Pos", strconv.FormatInt(p.up, 10))
		r.Header.Set("X-Ack", strconv.FormatInt(p.down, 10))
	} else {
		r.Header.Set("X-Pos", strconv.FormatInt(p.down, 10))
	}
	return p.http.Do(r)
}

// Ask makes one short request.
func (p *Pipe) Ask(ctx context.Context, path string, body []byte) (told Told, status int, err error) {
	answer, err := p.post(ctx, path, body)
	if err != nil {
		return told, 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	err = json.NewDecoder(answer.Body).Decode(&told)
	return told, answer.StatusCode, err
}

// Write uploads b, as often as it takes.
func (p *Pipe) Write(b []byte) (int, error) {
	whole, end := len(b), p.up+int64(len(b))
	until := time.Now().Add(3 * Patience)
	for len(b) > 0 {
		told, status, err := p.Ask(context.Background(), "/up", b[:min(len(b), 64<<10)])
		switch {
		case err != nil && time.Now().After(until):
			return 0, err
		case err != nil:
			continue // whether it arrived shows next time
		case status == http.StatusOK || status == http.StatusConflict:
			if told.Up > end || told.Up < p.up {
				return 0, fmt.Errorf("upload of %d to %d: the server is at %d: %w", p.up, end, told.Up, ErrEvent)
			}
			b = b[told.Up-p.up:]
			p.up = told.Up
		default:
			return 0, &CloseError{told.Code, told.Words}
		}
	}
	return whole, nil
}

// Read gives what comes next, over as many requests as it takes.
func (p *Pipe) Read(into []byte) (int, error) {
	for len(p.left) == 0 {
		if !p.deadline.IsZero() && time.Now().After(p.deadline) {
			return 0, timeout{}
		}
		if err := p.more(); err != nil {
			return 0, err
		}
	}
	n := copy(into, p.left)
	p.left = p.left[n:]
	return n, nil
}

// more reads one event, opening a request if there is none. What is cut is no error: the next request goes on.
func (p *Pipe) more() error {
	if p.stream == nil {
		ctx := context.Background()
		if p.deadline.IsZero() {
			ctx, p.cancel = context.WithCancel(ctx)
		} else {
			ctx, p.cancel = context.WithDeadline(ctx, p.deadline)
		}
		answer, err := p.post(ctx, "/down", nil)
		if err != nil {
			p.hangUp()
			return nil
		}
		p.stream, p.in = answer.Body, bufio.NewReader(answer.Body)
		if answer.StatusCode != http.StatusOK {
			var told Told
			_ = json.NewDecoder(answer.Body).Decode(&told)
			p.hangUp()
			return &CloseError{told.Code, told.Words}
		}
	}
	e, err := ReadPipeEvent(p.in)
	switch {
	case errors.Is(err, ErrEvent):
		return err
	case err != nil:
		p.hangUp()
	case e.Kind == "end" && e.Told.Code != 4001:
		return &CloseError{e.Told.Code, e.Told.Words}
	case e.Kind == "":
		known := p.down - e.Pos
		if known < 0 {
			return fmt.Errorf("bytes from %d on, %d are known: %w", e.Pos, p.down, ErrEvent)
		}
		if known < int64(len(e.Data)) {
			p.left = e.Data[known:]
			p.down += int64(len(p.left))
		}
	}
	return nil
}

// hangUp lets the request go that takes bytes; the next read makes another.
func (p *Pipe) hangUp() {
	if p.stream != nil {
		p.cancel()
		_ = p.stream.Close()
	}
	p.stream, p.in = nil, nil
}

// Cut breaks the request that takes bytes, wherever it is.
func (p *Pipe) Cut() { p.hangUp() }

// Close hangs up; the server finds out by itself.
func (p *Pipe) Close() error {
	p.hangUp()
	return nil
}

// SetReadDeadline bounds the reads to come. A request under way keeps the deadline it began with, so it is let go.
func (p *Pipe) SetReadDeadline(t time.Time) error {
	p.hangUp()
	p.deadline = t
	return nil
}

// SetWriteDeadline is there for net.Conn: an upload has a patience of its own.
func (p *Pipe) SetWriteDeadline(time.Time) error { return nil }

type timeout struct{}

func (timeout) Error() string   { return "nothing came in time" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }
