package wire

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The frames of a pipe's WebSocket: a byte that says of which kind, numbers of 64 bits, and what is left.
const (
	JoinFrame byte = 0x01
	DataFrame byte = 0x02
	AckFrame  byte = 0x03
	AskFrame  byte = 0x04
	TakeFrame byte = 0x05
	ToldFrame byte = 0x81
	DownFrame byte = 0x82
)

const (
	pingEvery   = 15 * time.Second
	socketQuiet = pingEvery + 10*time.Second
)

// Numbered makes a frame of numbers and bytes.
func Numbered(kind byte, numbers ...int64) []byte {
	frame := []byte{kind}
	for _, n := range numbers {
		frame = binary.BigEndian.AppendUint64(frame, uint64(n))
	}
	return frame
}

// Join makes the first frame: which pipe, how far we have come, and whether bytes come down here.
func Join(id string, have int64, take bool) []byte {
	body, _ := json.Marshal(map[string]any{"id": id, "have": have, "take": take}) // nothing that could fail
	return append([]byte{JoinFrame}, body...)
}

// DialLine opens the WebSocket of a pipe.
func (d Door) DialLine(ctx context.Context) (*Socket, error) {
	header := d.Header.Clone()
	header.Set("Sec-WebSocket-Protocol", "trellis.pipe")
	address := "ws" + strings.TrimPrefix(d.Base, "http")
	socket, answer, err := DialSocketBy(ctx, d.Dial, address, header)
	if err != nil {
		return nil, err
	}
	if answer.Header.Get("Sec-WebSocket-Protocol") != "trellis.pipe" {
		_ = socket.Close()
		return nil, fmt.Errorf("open a line: %w", errForeign)
	}
	return socket, nil
}

// line is a WebSocket that carries a pipe.
type line struct {
	socket *Socket
	take   bool // bytes come down here
	tolds  int
}

func (*line) waits() bool { return false }

func (l *line) send(frame []byte) error {
	_ = l.socket.SetWriteDeadline(time.Now().Add(Patience))
	_, err := l.socket.Write(frame)
	return err
}

func (l *line) bring(p *Pipe, pos int64, chunk []byte) error {
	if len(chunk) == 0 {
		return l.send(Numbered(AckFrame, p.have()))
	}
	return l.send(append(Numbered(DataFrame, pos, p.have()), chunk...))
}

// run reads frames until the socket ends; how is the error. Its pings show the server that we are there, and us that it is.
func (l *line) run(p *Pipe, told func(Told)) error {
	over := make(chan struct{})
	defer close(over)
	defer context.AfterFunc(p.ctx, func() { _ = l.socket.Close() })()
	p.running.Go(func() {
		tick := time.NewTicker(pingEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = l.send(Numbered(AskFrame, p.have())) // the reader notices
			case <-over:
				return
			}
		}
	})
	for {
		_ = l.socket.SetReadDeadline(time.Now().Add(socketQuiet))
		frame, err := l.socket.Message()
		if err != nil {
			return err
		}
		switch {
		case len(frame) >= 17 && frame[0] == DownFrame:
			p.arrived(int64(binary.BigEndian.Uint64(frame[9:])))
			if err := p.take(BySocket, int64(binary.BigEndian.Uint64(frame[1:])), frame[17:]); err != nil {
				return err
			}
		case len(frame) > 0 && frame[0] == ToldFrame:
			var t Told
			if err := json.Unmarshal(frame[1:], &t); err != nil {
				return fmt.Errorf("read a frame: %w", err)
			}
			told(t)
		default:
			return fmt.Errorf("frame % .20x: %w", frame, ErrEvent)
		}
	}
}
