package mqttproxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inLine runs a test in a bubble with Pipes that nobody serves.
func inLine(t *testing.T, config PipesConfig, test func(t *testing.T, pipes *Pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pipes := testPipes(config)
		test(t, pipes)
		pipes.Close()
		synctest.Wait()
	})
}

// opened joins a new pipe and gives the server's end of it.
func opened(t *testing.T, pipes *Pipes) (*wired, *pipe) {
	t.Helper()
	w := dialLine(t, pipes, Visitor{})
	w.join("", 0, true)
	synctest.Wait()
	a, n := w.lastTold()
	p, known := pipes.find(a.ID, Visitor{})
	if n != 1 || !known {
		t.Fatalf("told %d times, last %+v", n, a)
	}
	return w, p
}

func TestALineCarriesBothWays(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		w, p := opened(t, pipes)
		w.sayBytes(frameData, []byte("hello"), 0, 0)
		w.sayBytes(frameData, []byte("hello there"), 0, 0) // the part that is known comes once more
		synctest.Wait()
		_ = p.Send([]byte("good "), time.Now().Add(time.Second))
		_ = p.Send([]byte("morning"), time.Now().Add(time.Second))
		synctest.Wait()
		into := make([]byte, 20)
		n, _ := p.Receive(into)
		if string(into[:n]) != "hello there" || w.got() != "good morning" || w.up != 11 {
			t.Errorf("up %q, down %q, told of %d up", into[:n], w.got(), w.up)
		}
		w.say(frameAck, 5)
		w.say(framePing, 12)
		synctest.Wait()
		if a, n := w.lastTold(); n != 2 || a.ID != "" || a.Up != 11 || a.Down != 12 || p.down.len() != 0 {
			t.Errorf("told %d times, last %+v; %d bytes are kept", n, a, p.down.len())
		}
		w.close()
		if reason, over := p.ended(); over {
			t.Errorf("the pipe ended with its line: %v", reason)
		}
	})
}

func TestALineOnTrialMovesNothing(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		first, p := opened(t, pipes)
		_ = p.Send([]byte("one "), time.Now().Add(time.Second))
		trial := dialLine(t, pipes, Visitor{})
		trial.join(p.id, 0, false)
		trial.say(framePing, 0)
		synctest.Wait()
		_ = p.Send([]byte("two "), time.Now().Add(time.Second))
		synctest.Wait()
		if _, told := trial.lastTold(); told < 1 || trial.got() != "" || first.got() != "one two " || first.code != 0 {
			t.Fatalf("told %d times, %q came, %q to the first, which ended with %d", told, trial.got(), first.got(), first.code)
		}
		trial.say(frameTake, 0)
		synctest.Wait()
		_ = p.Send([]byte("three"), time.Now().Add(time.Second))
		<-first.over
		synctest.Wait()
		if first.code != Moved.Code() || first.got() != "one two " || trial.got() != "one two three" {
			t.Errorf("the first ended with %d and %q; the other got %q", first.code, first.got(), trial.got())
		}
		if a, _ := trial.lastTold(); a.Down != 8 {
			t.Errorf("told %+v before the bytes", a)
		}
		trial.close()
	})
}

func TestALineAndARequestTakeOverFromEachOther(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		w, p := opened(t, pipes)
		_ = p.Send([]byte("one "), time.Now().Add(time.Second))
		synctest.Wait()
		c := &client{t: t, pipes: pipes, id: p.id}
		events := make(chan []event)
		go func() { events <- c.down("stream", 1<<20, -1) }()
		<-w.over
		synctest.Wait()
		_ = p.Send([]byte("two "), time.Now().Add(time.Second))
		synctest.Wait()
		back := dialLine(t, pipes, Visitor{})
		back.join(p.id, 4, true)
		got := <-events
		if last := got[len(got)-1]; w.code != Moved.Code() || last.told.Code != Moved.Code() {
			t.Errorf("the line ended with %d, the stream with %+v", w.code, last)
		}
		synctest.Wait()
		if string(c.got) != "one two " || back.got()[4:] != "two " {
			t.Errorf("%q by the stream, %q after it", c.got, back.got())
		}
		back.close()
	})
}

func TestALineIsForItsVisitorAlone(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		owner := Visitor{Grant: testGrant(), Session: "cookie", Address: "10.0.0.1"}
		p, _ := pipes.open(owner)
		other := owner
		other.Session = "another"
		near, far := Visitor{Address: "10.0.0.1"}, Visitor{Address: "10.0.0.2"}
		public, _ := pipes.open(near)
		for name, tt := range map[string]struct {
			id   string
			who  Visitor
			code int
		}{
			"another sign-in":     {p.id, other, 4004},
			"nobody":              {p.id, near, 4004},
			"an id never given":   {"a.00000000000000000000000000000000", owner, 4004},
			"nobody's, from afar": {public.id, far, 4004},
			"nobody's, from near": {public.id, near, 0},
		} {
			w := dialLine(t, pipes, tt.who)
			w.join(tt.id, 0, true)
			synctest.Wait()
			if w.code != tt.code {
				t.Errorf("%s: closed with %d, want %d", name, w.code, tt.code)
			}
			w.close()
		}
	})
}

func TestAnEndIsToldOnALineAfterWhatWasSentBefore(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		w, p := opened(t, pipes)
		trial := dialLine(t, pipes, Visitor{})
		trial.join(p.id, 0, false)
		synctest.Wait()
		_ = p.Send([]byte("last words"), time.Now().Add(time.Second))
		p.End(Restart)
		<-w.served
		<-trial.served
		late := dialLine(t, pipes, Visitor{})
		late.join(p.id, 0, true)
		<-late.served
		for _, w := range []*wired{w, late} {
			if w.got() != "last words" || w.code != 4012 || w.words != Restart.Words() {
				t.Errorf("got %q, then %d %q", w.got(), w.code, w.words)
			}
		}
		if trial.code != 4012 || trial.got() != "" {
			t.Errorf("on trial: %q, then %d", trial.got(), trial.code)
		}
	})
}

func TestALineIsTold(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		w, p := opened(t, pipes)
		w.sayBytes(frameData, make([]byte, tellEvery-1), 0, 0)
		synctest.Wait()
		if _, n := w.lastTold(); n != 1 {
			t.Errorf("told %d times before it was due", n)
		}
		w.sayBytes(frameData, make([]byte, 1), tellEvery-1, 0)
		synctest.Wait()
		if a, n := w.lastTold(); n != 2 || a.Up != tellEvery {
			t.Errorf("told %d times, last %+v", n, a)
		}
		for range 3 { // what was under way behind a gap
			w.sayBytes(frameData, make([]byte, 10), tellEvery+10, 0)
		}
		synctest.Wait()
		if a, n := w.lastTold(); n != 3 || a.Up != tellEvery {
			t.Errorf("told %d times, last %+v", n, a)
		}
		if up, _ := p.positions(); up != tellEvery {
			t.Errorf("%d bytes were taken", up)
		}
		w.close()
	})
}

func TestAPageThatSendsNonsenseIsTold(t *testing.T) {
	big := make([]byte, dataHead+maxUpload+1)
	big[0] = frameData
	for name, tt := range map[string]struct {
		message []byte
		reason  Reason
	}{
		"an unknown kind":             {[]byte{9}, Protocol},
		"a second join":               {[]byte("\x01{}"), Protocol},
		"an acknowledgement too far":  {[]byte{frameAck, 0, 0, 0, 0, 0, 0, 0, 1}, Protocol},
		"a take too far":              {[]byte{frameTake, 0, 0, 0, 0, 0, 0, 0, 1}, Protocol},
		"a position above all others": {[]byte{framePing, 0xff, 0, 0, 0, 0, 0, 0, 1}, Protocol},
		"too many bytes":              {big, TooBig},
	} {
		t.Run(name, func(t *testing.T) {
			inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
				w, p := opened(t, pipes)
				_, _ = w.conn.Write(masked(tt.message))
				<-w.served
				<-w.over
				if reason, over := p.ended(); !over || reason != tt.reason || w.code != tt.reason.Code() {
					t.Errorf("the pipe ended with %v, the line with %d", reason, w.code)
				}
			})
		})
	}
}

func TestALineThatSaysNothingIsDropped(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		unjoined := dialLine(t, pipes, Visitor{})
		began := time.Now()
		<-unjoined.served
		if took := time.Since(began); took != 5*time.Second || unjoined.code != 0 {
			t.Errorf("without a join it lasted %v and ended with %d", took, unjoined.code)
		}
		w, p := opened(t, pipes)
		for range 3 {
			time.Sleep(30 * time.Second)
			w.say(framePing, 0)
		}
		began = time.Now()
		<-w.served
		if took := time.Since(began); took != 40*time.Second || w.code != 0 {
			t.Errorf("it was dropped after %v with %d", took, w.code)
		}
		if reason, over := p.ended(); over {
			t.Errorf("the pipe ended with %v", reason)
		}
	})
}

func TestAPageThatDoesNotReadLosesItsLineOnly(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		w, p := opened(t, pipes)
		_ = w.conn.Close() // before its reader: nobody reads, nobody closes
		<-w.served
		ours, theirs := net.Pipe()
		defer ours.Close()
		stuck := &line{pipes: pipes, pipe: p, socket: acceptInMemory(t, theirs)}
		p.admit(stuck)
		p.give(stuck, 0)
		began := time.Now()
		if err := p.Send([]byte("kept"), time.Now().Add(10*time.Second)); err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("sent after %v: %v", time.Since(began), err)
		}
		p.leave(stuck)
		again := dialLine(t, pipes, Visitor{})
		again.join(p.id, 0, true)
		synctest.Wait()
		if again.got() != "kept" {
			t.Errorf("got %q", again.got())
		}
		again.close()
	})
}

func TestAPipeHasFewLines(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		first, p := opened(t, pipes)
		all := []*wired{first}
		for range maxLines {
			w := dialLine(t, pipes, Visitor{})
			w.join(p.id, 0, false)
			synctest.Wait()
			all = append(all, w)
		}
		for i, w := range all {
			if want := map[bool]int{true: Moved.Code()}[i == maxLines]; w.code != want {
				t.Errorf("line %d was closed with %d", i, w.code)
			}
			w.close()
		}
	})
}

func TestAStopIsToldBeforeTheJoinToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := testPipes(PipesConfig{})
		ours, theirs := net.Pipe()
		w := &wired{arrivals: &arrivals{t: t}, conn: ours, over: make(chan struct{})}
		go w.read()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan struct{})
		go func() {
			pipes.Carry(ctx, acceptInMemory(t, theirs), Visitor{})
			close(served)
		}()
		synctest.Wait()
		stop()
		<-served
		<-w.over
		if w.code != 4012 {
			t.Errorf("closed with %d", w.code)
		}
		pipes.Close()
	})
}

func TestJoins(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"id":"","have":0,"take":true}`:    true,
		`{"id":"a.1","have":7}`:             true,
		`{"id":"","have":7}`:                false,
		`{"id":"a.1","have":-1}`:            false,
		`{"id":"a.1","have":1.5}`:           false,
		`{"id":"a.1","have":1e99}`:          false,
		`{"id":1}`:                          false,
		`{`:                                 false,
		``:                                  false,
		strings.Repeat(" ", maxJoin) + "{}": false,
	} {
		if _, err := readJoin(append([]byte{frameJoin}, text...)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{frameAck, 0, 0, 0, 0, 0, 0, 0, 7})
	f.Add([]byte{framePing, 0, 31, 255, 255, 255, 255, 255, 255})
	f.Add([]byte{frameTake, 0, 32, 0, 0, 0, 0, 0, 0})
	f.Add(append(make([]byte, 0, 20), frameData, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 'h', 'i'))
	f.Add([]byte("\x01" + `{"id":"a.00","have":3,"take":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := readJoin(b)
		if err == nil && (j.Have < 0 || j.Have > longestPos) {
			t.Errorf("a join with %d", j.Have)
		}
		read, err := readFrame(b)
		if err != nil {
			return
		}
		if read.pos < 0 || read.pos > longestPos || read.have < 0 || read.have > longestPos || len(read.data) > maxUpload {
			t.Errorf("%x was read as %+v", b, read)
		}
		again := []byte{read.kind}
		if read.kind == frameData {
			again = binary.BigEndian.AppendUint64(again, uint64(read.pos))
		}
		again = append(binary.BigEndian.AppendUint64(again, uint64(read.have)), read.data...)
		if !bytes.Equal(again, b) {
			t.Errorf("%x was read as %x", b, again)
		}
	})
}
