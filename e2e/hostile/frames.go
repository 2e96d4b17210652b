package hostile

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// upgrade does to a WebSocket what this network does.
func (p *Proxy) upgrade(w http.ResponseWriter, r *http.Request, bad Bad) {
	switch bad.Upgrade {
	case "403":
		http.Error(w, "WebSocket is not allowed by the policy of this network.", http.StatusForbidden)
	case "400":
		http.Error(w, "bad request", http.StatusBadRequest)
	case "page", "redirect":
		portal(w, r, bad.Upgrade)
	default:
		p.tunnel(w, r, bad)
	}
}

// tunnel hands frames on, both ways, until one side ends.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request, bad Bad) {
	up, err := p.dial(r.Context())
	if err != nil {
		http.Error(w, "no answer from the server", http.StatusBadGateway)
		return
	}
	defer up.Close()
	if err := r.Write(up); err != nil {
		return
	}
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	in := bufio.NewReader(up)
	answer, err := http.ReadResponse(in, r)
	if err != nil {
		return
	}
	if err := answer.Write(down); err != nil {
		return
	}
	if bad.Upgrade == "swallow" {
		p.running.Go(func() { _, _ = io.Copy(io.Discard, in) })
		_, _ = io.Copy(io.Discard, buffered)
		return
	}
	p.running.Go(func() {
		defer up.Close()
		if bad.Lag > 0 {
			p.lag(up, buffered, bad.Lag)
		} else {
			_, _ = io.Copy(up, buffered)
		}
	})
	if bad.Upgrade != "cut" {
		_, _ = io.Copy(down, in)
		return
	}
	for range bad.Frames {
		if frame(down, in) != nil {
			return
		}
	}
}

// lag copies, each part so much later than it came. The parts under way are bounded: what is beyond waits where it is.
func (p *Proxy) lag(to net.Conn, from io.Reader, by time.Duration) {
	type part struct {
		due   time.Time
		bytes []byte
	}
	parts := make(chan part, 1024)
	p.running.Go(func() {
		defer close(parts)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			parts <- part{time.Now().Add(by), b[:n]}
		}
	})
	for next := range parts {
		time.Sleep(time.Until(next.due))
		_, _ = to.Write(next.bytes) // the other side ends the reading when this fails
	}
}

// frame copies one frame of a server, which has no mask (RFC 6455 section 5.2).
func frame(to io.Writer, from *bufio.Reader) error {
	head, err := from.Peek(2)
	if err != nil {
		return err
	}
	size, length := 2, int64(head[1]&0x7f)
	switch length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if head, err = from.Peek(size); err != nil {
		return err
	}
	if size > 2 {
		length = 0
		for _, b := range head[2:] {
			length = length<<8 | int64(b)
		}
	}
	_, err = io.CopyN(to, from, int64(size)+length)
	return err
}
