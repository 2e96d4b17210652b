package mqttproxy

import (
	"bytes"
	"testing"
)

// What is being sent must not be written over, though the page says meanwhile that it has it.
func TestAPieceInSomebodysHandsIsNotUsedAgain(t *testing.T) {
	for _, size := range []int{1, 500, 1000, 5000, maxDown} {
		r := &replay{}
		lent := new([]byte)
		r.keep(bytes.Repeat([]byte{1}, size))
		frame, sent, next := r.frameAt(0, 7, lent)
		if sent == nil || next != int64(size) || len(frame) != dataHead+size {
			t.Fatalf("%d bytes: a frame of %d, then %d", size, len(frame), next)
		}
		before := bytes.Clone(frame)
		r.release(next)
		for range 10 {
			r.keep(bytes.Repeat([]byte{2}, size))
		}
		if !bytes.Equal(frame, before) {
			t.Fatalf("%d bytes: the frame was written over", size)
		}
		sent.letGo()
	}
}

func TestFramesOfWhatIsKept(t *testing.T) {
	r := &replay{}
	lent := new([]byte)
	var all []byte
	for i, size := range []int{10, 20, maxDown, 3 * maxDown, 5, 40_000, 1} {
		b := bytes.Repeat([]byte{byte(i + 1)}, size)
		r.keep(b)
		all = append(all, b...)
	}
	for round := range 3 { // what was sent as it was kept is copied the next time
		from := int64(round * 7)
		r.release(from)
		got := bytes.Clone(all[:from])
		for from < r.end {
			frame, sent, next := r.frameAt(from, 3, lent)
			if len(frame) > dataHead+maxDown || next != from+int64(len(frame)-dataHead) {
				t.Fatalf("a frame of %d from %d to %d", len(frame), from, next)
			}
			got = append(got, frame[dataHead:]...)
			if sent != nil {
				sent.letGo()
			}
			from = next
		}
		if !bytes.Equal(got, all) {
			t.Fatalf("round %d: %d bytes, not the same", round, len(got))
		}
	}
	if n := r.release(r.end); n != len(all)-14 || r.len() != 0 || r.pieces != nil {
		t.Errorf("%d let go of, %d left in %d pieces", n, r.len(), len(r.pieces))
	}
}
