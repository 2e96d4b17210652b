package mqttproxy

import (
	"math/bits"
	"slices"
	"sort"
	"sync"
)

// replay is what was sent and is not yet acknowledged, in the pieces in which it was sent. A piece has room for a frame's
// head in front, so that keeping and sending need one copy between them. The pipe's mu guards it.
type replay struct {
	base   int64 // position of the first byte kept
	end    int64 // position after the last one
	pieces []*piece
}

type piece struct {
	pos   int64
	frame []byte // dataHead bytes of room, then the bytes kept
	taken bool   // the room is used: somebody sends, or has sent, this as a frame
	holds int    // one for being kept, one for being sent; its memory is used again when nobody holds it
}

func (p *piece) end() int64 { return p.pos + int64(len(p.frame)-dataHead) }

// pieces of 1 KiB to 128 KiB are used again, those of each power of two by themselves: at the rates at which many pages are
// written to, making them anew costs as much as sending them. Smaller ones are made as small as they can be.
var pieces [8]sync.Pool

const smallPiece = 1 << 9

func newPiece(size int) *piece {
	if size > smallPiece {
		class := bits.Len(uint(size-1)) - 10
		if class < len(pieces) {
			if p, ok := pieces[class].Get().(*piece); ok {
				*p = piece{frame: p.frame[:size]}
				return p
			}
			return &piece{frame: make([]byte, size, smallPiece<<(class+1))}
		}
	}
	return &piece{frame: make([]byte, size)}
}

// letGo ends one hold of a piece.
func (p *piece) letGo() {
	if p.holds--; p.holds > 0 || cap(p.frame) <= smallPiece {
		return
	}
	if class := bits.Len(uint(cap(p.frame)-1)) - 10; class < len(pieces) {
		pieces[class].Put(p)
	}
}

// keep adds a copy of b at the end. Small ones share a piece, which costs as much as a hundred bytes.
func (r *replay) keep(b []byte) {
	if last := len(r.pieces) - 1; last >= 0 && r.pieces[last].add(b) {
		r.end += int64(len(b))
		return
	}
	p := newPiece(dataHead + len(b))
	p.pos, p.holds = r.end, 1
	copy(p.frame[dataHead:], b)
	r.pieces = append(r.pieces, p)
	r.end += int64(len(b))
}

// add puts b behind what a small piece holds, unless somebody sends that now.
func (p *piece) add(b []byte) bool {
	size := len(p.frame) + len(b)
	if p.holds > 1 || size > smallPiece {
		return false
	}
	if size > cap(p.frame) {
		p.frame = append(make([]byte, 0, smallPiece), p.frame...)
	}
	p.frame = append(p.frame, b...)
	return true
}

func (r *replay) len() int { return int(r.end - r.base) }

// release lets go of all before have, and says how many bytes that were.
func (r *replay) release(have int64) int {
	n := max(0, min(have, r.end)-r.base)
	r.base += n
	gone := 0
	for ; gone < len(r.pieces) && r.pieces[gone].end() <= r.base; gone++ {
		r.pieces[gone].letGo()
	}
	r.pieces = slices.Delete(r.pieces, 0, gone)
	if len(r.pieces) == 0 {
		r.pieces = nil
	}
	return int(n)
}

// find gives the index of the piece that holds the byte at pos.
func (r *replay) find(pos int64) int {
	if last := len(r.pieces) - 1; last >= 0 && r.pieces[last].pos <= pos {
		return last // most often: what has just been kept is sent
	}
	return sort.Search(len(r.pieces), func(i int) bool { return r.pieces[i].end() > pos })
}

// appendTo adds what comes from pos on, at most so many bytes.
func (r *replay) appendTo(to []byte, pos int64, most int) []byte {
	for _, p := range r.pieces[r.find(pos):] {
		b := p.frame[dataHead+max(0, pos-p.pos):]
		to = append(to, b[:min(most, len(b))]...)
		if most -= len(b); most <= 0 {
			break
		}
	}
	return to
}

// frameAt lays out the frame of what comes from pos on, and says where the next one begins. The frame is a piece, which
// whoever sends it has to let go of, or a copy in lent: of several small pieces, or of what has been sent before.
func (r *replay) frameAt(pos, up int64, lent *[]byte) (frame []byte, sent *piece, next int64) {
	i := r.find(pos)
	p := r.pieces[i]
	alone := i == len(r.pieces)-1 || len(p.frame) > maxDown/2
	if p.pos == pos && !p.taken && alone && len(p.frame) <= dataHead+maxDown {
		p.taken = true
		p.holds++
		putHead(p.frame, pos, up)
		return p.frame, p, p.end()
	}
	*lent = r.appendTo(append((*lent)[:0], make([]byte, dataHead)...), pos, maxDown)
	putHead(*lent, pos, up)
	return *lent, nil, pos + int64(len(*lent)-dataHead)
}
