package wire

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
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
	head, err := textLine(in)
	if err != nil {
		return e, err
	}
	data, err := textLine(in)
	if err != nil {
		return e, err
	}
	if end, err := textLine(in); err != nil || end != "" {
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

func textLine(in *bufio.Reader) (string, error) {
	text, err := in.ReadString('\n')
	if errors.Is(err, io.EOF) && text != "" {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimSuffix(text, "\n"), err
}
