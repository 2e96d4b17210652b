package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// How long requests may take, as on a page.
const (
	upLimit     = 10 * time.Second
	pollLimit   = 30 * time.Second
	streamQuiet = 25 * time.Second // the server's beats are 15 s apart
)

var (
	errForeign = errors.New("somebody else answered")
	errRefused = errors.New("request was refused")
	errMoved   = &CloseError{Code: 4001, Words: ""}
)

// post sends one request of the pipe.
func (p *Pipe) post(ctx context.Context, path string, header map[string]string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.door.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = p.door.Header.Clone()
	r.Host = p.door.Header.Get("Host")
	r.Header.Del("Host")
	r.Header.Set("Content-Type", "application/octet-stream")
	if id := p.ID(); id != "" {
		r.Header.Set("X-Trellis-Session", id)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return p.door.HTTP.Do(r)
}

// Ask makes one short request. A refusal of the server's own is a [CloseError] if it is final.
func (p *Pipe) Ask(path string, header map[string]string, body []byte) (told Told, status int, err error) {
	ctx, cancel := context.WithTimeout(p.ctx, upLimit)
	defer cancel()
	answer, err := p.post(ctx, path, header, body)
	if err != nil {
		return told, 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	return p.heed(answer)
}

// heed reads a short answer.
func (p *Pipe) heed(answer *http.Response) (told Told, status int, err error) {
	status = answer.StatusCode
	if json.NewDecoder(answer.Body).Decode(&told) != nil {
		return told, status, errForeign
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	final := status == http.StatusForbidden || status == http.StatusNotFound || status == http.StatusGone || p.ID() == ""
	switch {
	case told.Code != 0 && final:
		return told, status, &CloseError{told.Code, told.Words}
	case status != http.StatusOK && status != http.StatusConflict:
		return told, status, errRefused
	}
	return told, status, nil
}

// posts takes bytes up by requests, one after the other. Each time this way is taken it is another one.
type posts struct{ ladder *ladder }

func (*posts) waits() bool { return true }

func (u *posts) bring(p *Pipe, pos int64, chunk []byte) error {
	header := map[string]string{"X-Pos": strconv.FormatInt(pos, 10), "X-Ack": strconv.FormatInt(p.have(), 10)}
	told, status, err := p.Ask("/up", header, chunk)
	var ended *CloseError
	switch {
	case errors.As(err, &ended):
		p.fail(err)
	case status == http.StatusRequestEntityTooLarge:
		p.mu.Lock()
		p.longest = max(1<<10, min(p.longest, len(chunk))/2)
		p.mu.Unlock()
	}
	if err != nil {
		return err
	}
	p.arrived(told.Up)
	u.ladder.then(func() { u.ladder.expect(told.Down) })
	if len(chunk) > 0 && told.Up <= pos && status == http.StatusOK {
		return errRefused // there was no room
	}
	return nil
}

// descent is one request that takes bytes down.
type descent struct {
	pipe   *Pipe
	way    string
	cancel context.CancelFunc
	beat   func() // called for every sign of life
	began  time.Time
}

// run asks and reads events until the answer ends; how it ended is the error.
func (d *descent) run(ctx context.Context) error {
	header := map[string]string{"X-Pos": strconv.FormatInt(d.pipe.have(), 10), "X-Mode": d.way}
	quiet := time.AfterFunc(pollLimit, d.cancel)
	defer quiet.Stop()
	answer, err := d.pipe.post(ctx, "/down", header, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		_, _, err := d.pipe.heed(answer)
		return errors.Join(err, errRefused)
	}
	in := bufio.NewReader(answer.Body)
	for {
		e, err := ReadPipeEvent(in)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read events: %w", err)
		case e.Kind == "end" && e.Told.Code == errMoved.Code:
			return errMoved
		case e.Kind == "end":
			return &CloseError{e.Told.Code, e.Told.Words}
		case e.Kind == "beat":
			d.pipe.arrived(e.Told.Up)
			d.beat()
		default:
			if err := d.pipe.take(d.way, e.Pos, e.Data); err != nil {
				return err
			}
		}
		if d.way == ByStream {
			quiet.Reset(streamQuiet)
		}
	}
}
