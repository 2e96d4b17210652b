package mqttproxy

import (
	"encoding/binary"
	"encoding/json"
)

// A pipe's WebSocket carries binary messages of one frame each: a byte that says of which kind, numbers of 64 bits, the
// highest byte first, and what is left.
const (
	frameJoin = 0x01 // the first one, once: JSON
	frameData = 0x02 // position, how far the page has come, bytes
	frameAck  = 0x03 // how far the page has come
	framePing = 0x04 // the same, to be answered
	frameTake = 0x05 // the same; from now on bytes come down here

	frameTold  = 0x81 // JSON
	frameBytes = 0x82 // position, how far we have come, bytes
)

const (
	dataHead = 1 + 8 + 8
	maxJoin  = 512 // bytes of JSON in a join
)

// joinFrame is how a page says which pipe its WebSocket is to carry.
type joinFrame struct {
	ID   string `json:"id"`   // empty opens a new one
	Have int64  `json:"have"` // bytes that came down so far
	Take bool   `json:"take"` // bytes come down here; otherwise this carrier is on trial
}

// frame is one frame of a page after its join.
type frame struct {
	kind byte
	pos  int64 // of data
	have int64
	data []byte
}

// readJoin reads a page's first frame. An error is the Reason to end.
func readJoin(b []byte) (j joinFrame, err error) {
	if len(b) == 0 || b[0] != frameJoin || len(b) > 1+maxJoin {
		return j, Protocol
	}
	if json.Unmarshal(b[1:], &j) != nil || j.Have < 0 || j.Have > longestPos || (j.ID == "" && j.Have != 0) {
		return j, Protocol
	}
	return j, nil
}

// readFrame reads any other one. The data is a part of b.
func readFrame(b []byte) (f frame, err error) {
	if len(b) == 0 {
		return f, Protocol
	}
	f.kind, b = b[0], b[1:]
	ok := true
	switch f.kind {
	case frameData:
		if f.pos, b, ok = readPos(b); !ok {
			return f, Protocol
		}
	case frameAck, framePing, frameTake:
	default:
		return f, Protocol
	}
	f.have, b, ok = readPos(b)
	switch {
	case !ok || f.pos > longestPos-int64(len(b)):
		return f, Protocol
	case f.kind != frameData && len(b) > 0:
		return f, Protocol
	case len(b) > maxUpload:
		return f, TooBig
	}
	f.data = b
	return f, nil
}

func readPos(b []byte) (pos int64, rest []byte, ok bool) {
	if len(b) < 8 {
		return 0, nil, false
	}
	n := binary.BigEndian.Uint64(b)
	return int64(n), b[8:], n <= longestPos
}

// putHead writes the head of a frame of bytes down.
func putHead(frame []byte, pos, up int64) {
	frame[0] = frameBytes
	binary.BigEndian.PutUint64(frame[1:], uint64(pos))
	binary.BigEndian.PutUint64(frame[9:], uint64(up))
}

// appendTold lays out how far both directions are.
func appendTold(to []byte, a answer) []byte {
	body, _ := json.Marshal(a) // numbers and an id
	return append(append(to, frameTold), body...)
}
