package mqttproxy

import (
	"testing"
	"testing/synctest"
)

func TestPipesAreCountedByTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := testPipes(PipesConfig{})
		c := &client{t: t, pipes: pipes, visitor: Visitor{Grant: testGrant(), Address: "x"}}
		c.open()
		is := func(way string) {
			t.Helper()
			synctest.Wait()
			for known, n := range pipes.Stats().Open {
				if want := map[bool]int{true: 1}[known == way]; n != want {
					t.Errorf("after %s there are %d by %s", way, n, known)
				}
			}
		}
		is(wayNone)
		c.down(wayPoll, 1, -1)
		is(wayPoll)
		c.down(wayStream, 1, -1)
		is(wayStream)
		w := dialLine(t, pipes, c.visitor)
		w.join(c.id, 0, true)
		is(waySocket)
		w.close()
		is(waySocket) // it was the last one
		mustFind(t, pipes, c).End(Done)
		is("the end")
		pipes.Close()
	})
}

func TestLimitsOfPipesAreCounted(t *testing.T) {
	pipes := testPipes(PipesConfig{PerAddress: 1, UpPerSecond: 1, UpAtOnce: 1})
	defer pipes.Close()
	c := &client{t: t, pipes: pipes, visitor: Visitor{Address: "x"}}
	if n := len(pipes.Stats().Limited); n != len(limitsOfPipes) {
		t.Errorf("%d limits are told before any was met, want all %d", n, len(limitsOfPipes))
	}
	for range 3 {
		_, _ = pipes.open(c.visitor)
	}
	if got := pipes.Stats().Limited; got["too_many_of_address"] != 2 || got["too_many"] != 0 {
		t.Errorf("two of three were refused: %v", got)
	}
	p, _ := pipes.open(Visitor{Address: "y"})
	p.tooFast(1000)
	if got := pipes.Stats().Limited; got["too_fast"] != 1 {
		t.Errorf("one sent too fast: %v", got)
	}
}

// deadEnd is a WebSocket of which only its end matters.
type deadEnd struct {
	messenger
	ended Reason
}

func (d *deadEnd) End(r Reason) { d.ended = r }

func TestMistakesOfLinesAreCounted(t *testing.T) {
	pipes := testPipes(PipesConfig{})
	defer pipes.Close()
	end := &deadEnd{}
	func() {
		l := &line{pipes: pipes, socket: end}
		defer l.survive(t.Context())
		panic("a mistake of ours")
	}()
	if n := pipes.Stats().Panics; n != 1 || end.ended != Fault {
		t.Errorf("%d counted, and the page was told %v", n, end.ended)
	}
}
