package mqttproxy

import (
	"bytes"
	"context"
	"flag"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"trellis/access"
)

// runs sets how often rapid tries, for one test.
func runs(t *testing.T, n int) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	before := f.Value.String()
	if before != "100" {
		return // somebody asked for another number
	}
	if err := f.Value.Set(strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(before) })
}

// far is one page's end of a pipe without a network: what it has sent and what came.
type far struct {
	p    *pipe
	sent []byte // all that the page wants to send
	acks int64  // how far the server said it is
	got  []byte
	turn uint64
	from int64 // how far the request that takes bytes has written
}

// read lets the current request write once; lost bytes of it never arrive.
func (f *far) read(most int, lose func(n int) int) bool {
	next := f.p.next(f.turn, f.from, most)
	if next.chunk == nil {
		return false
	}
	f.from = next.pos + int64(len(next.chunk))
	kept := next.chunk[:len(next.chunk)-lose(len(next.chunk))]
	if known := int64(len(f.got)) - next.pos; known >= 0 && known < int64(len(kept)) {
		f.got = append(f.got, kept[known:]...) // doubles are dropped by position, as is what comes after a gap
	}
	return true
}

func (f *far) reattach() bool {
	turn, ok := f.p.attach(int64(len(f.got)))
	if ok {
		if f.turn != 0 {
			f.p.detach()
		}
		f.turn, f.from = turn, int64(len(f.got))
	}
	return ok
}

func testPipes(config PipesConfig) *Pipes {
	if config.Serve == nil {
		config.Serve = func(Carrier, access.Grant) bool { return true }
	}
	return NewPipes(config)
}

// hubEnd is the hub's end of the same pipe: what it sent, and what it received.
type hubEnd struct {
	p        *pipe
	sent     []byte
	received []byte
}

func (h *hubEnd) receive(t *rapid.T) {
	h.p.mu.Lock()
	some := len(h.p.up) > 0
	h.p.mu.Unlock()
	if !some {
		return
	}
	into := make([]byte, 5)
	n, err := h.p.Receive(into)
	if err != nil {
		t.Fatal(err)
	}
	h.received = append(h.received, into[:n]...)
}

func (h *hubEnd) send(t *rapid.T, b []byte) {
	h.p.mu.Lock()
	b = b[:min(len(b), 64-h.p.down.len())]
	h.p.mu.Unlock()
	if err := h.p.Send(b, time.Now()); err != nil {
		t.Fatal(err)
	}
	h.sent = append(h.sent, b...)
}

// upload sends so many bytes from pos on, and wants a gap to be noticed.
func (f *far) upload(t *rapid.T, pos, n int64) {
	ok := f.p.upload(context.Background(), pos, f.sent[pos:min(pos+n, int64(len(f.sent)))])
	up, _ := f.p.positions()
	if ok != (pos <= up) {
		t.Fatalf("upload at %d of %d: %v", pos, up, ok)
	}
}

// Whatever is cut, doubled or re-ordered, what one side sends is what the other receives.
func TestPipeLosesAndDoublesNothing(t *testing.T) {
	runs(t, 10_000)
	rapid.Check(t, func(t *rapid.T) {
		pipes := testPipes(PipesConfig{Replay: 64})
		defer pipes.Close()
		p, _ := pipes.open(Visitor{})
		f, h := &far{p: p}, &hubEnd{p: p}
		count := byte(0)
		fresh := func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				count++
				b[i] = count
			}
			return b
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			n := rapid.IntRange(0, 20).Draw(t, "n")
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0:
				h.send(t, fresh(n))
			case 1:
				f.sent = append(f.sent, fresh(n)...)
			case 2: // from anywhere: an old upload again, or one that overtook the one before it
				f.upload(t, rapid.Int64Range(0, int64(len(f.sent))).Draw(t, "pos"), int64(n))
			case 3:
				f.upload(t, f.acks, int64(n))
				if n%3 != 0 { // otherwise the answer was lost
					f.acks, _ = p.positions()
				}
			case 4:
				f.reattach()
			case 5:
				f.read(n+1, func(m int) int { return min(m, n%4) })
			case 6: // an acknowledgement, perhaps of long ago
				p.acknowledge(rapid.Int64Range(0, int64(len(f.got))).Draw(t, "ack"))
			case 7:
				h.receive(t)
			}
		}
		if !f.reattach() {
			t.Fatal("cannot attach any more")
		}
		for f.read(7, func(int) int { return 0 }) {
		}
		up, _ := p.positions()
		f.upload(t, up, int64(len(f.sent)))
		for len(h.received) < len(f.sent) {
			h.receive(t)
		}
		if !bytes.Equal(f.got, h.sent) || !bytes.Equal(h.received, f.sent) {
			t.Fatalf("down %v, want %v; up %v, want %v", f.got, h.sent, h.received, f.sent)
		}
	})
}

func TestPositions(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "7": 7, "9007199254740991": longestPos,
		"": -1, "-1": -1, "+1": -1, "01": -1, "00": -1, " 1": -1, "1 ": -1, "1e3": -1, "0x1": -1, "1_0": -1, "١": -1,
		"9007199254740992": -1, "99999999999999999999": -1,
	} {
		got, ok := parsePos(text)
		if ok != (want >= 0) || (ok && got != want) {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
}

func FuzzPos(f *testing.F) {
	for _, seed := range []string{"0", "1", "9007199254740991", "-1", "1e9", "", strings.Repeat("9", 40)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, ok := parsePos(text); ok && (n < 0 || n > longestPos || strconv.FormatInt(n, 10) != text) {
			t.Errorf("%q was read as %d", text, n)
		}
	})
}
