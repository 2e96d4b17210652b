package mqttproxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"trellis/access"
)

func numbered(n, size int) Arrival {
	return Arrival{Topic: shedOwn, Payload: append(binary.BigEndian.AppendUint32(nil, uint32(n)), bytes.Repeat([]byte("x"), size-4)...)}
}

func TestWhatWasShownIsKnownByItsSumAlone(t *testing.T) {
	e := &echoes{within: time.Millisecond, wake: func() {}, most: 8, mostBytes: 1 << 20}
	e.grant(true)
	var last [32]byte
	for n := range 100 {
		a := numbered(n, 5000)
		last = sumOf(a.Topic, a.Payload)
		if !e.begin(last, a) {
			t.Fatalf("no room for message %d", n)
		}
		var show []Arrival
		if now := e.end(last, true); now != nil { // where no echo ever came
			show = append(show, *now)
		}
		late, _ := e.overdue(time.Now().Add(time.Second))
		if show = append(show, late...); len(show) != 1 || !bytes.Equal(show[0].Payload, a.Payload) {
			t.Fatalf("shown of message %d are %d", n, len(show))
		}
	}
	if len(e.waiting) > e.most+1 || e.hidden != 0 || e.bytes != 0 {
		t.Errorf("%d are known, %d of %d bytes wait", len(e.waiting), e.hidden, e.bytes)
	}
	for _, w := range e.waiting {
		if w.sent.Payload != nil {
			t.Error("a payload stays after it was shown")
		}
	}
	if _, show := e.came(numbered(99, 5000)); show {
		t.Error("the late echo of what was shown last is shown again")
	}
}

func TestWhatWaitsForItsEchoIsBounded(t *testing.T) {
	for name, e := range map[string]*echoes{
		"by count": {within: time.Hour, wake: func() {}, most: 8, mostBytes: 1 << 20},
		"by bytes": {within: time.Hour, wake: func() {}, most: 1 << 20, mostBytes: 800},
	} {
		t.Run(name, func(t *testing.T) {
			e.grant(true)
			taken := 0
			for a := numbered(0, 100); e.begin(sumOf(a.Topic, a.Payload), a); a = numbered(taken, 100) {
				e.end(sumOf(a.Topic, a.Payload), true)
				taken++
			}
			if taken != 8 {
				t.Errorf("%d messages were taken, want 8", taken)
			}
			show, _ := e.overdue(time.Now())
			if len(show) != 4 || !bytes.Equal(show[0].Payload, numbered(0, 100).Payload) || e.hidden != 4 || e.bytes != 400 {
				t.Errorf("shown before their time are %d; %d of %d bytes wait", len(show), e.hidden, e.bytes)
			}
			for n := range 8 { // half of them were shown
				if _, show := e.came(numbered(n, 100)); show != (n >= 4) {
					t.Errorf("the echo of message %d: shown %v", n, n < 4)
				}
			}
			if len(e.waiting) != 0 || e.hidden != 0 || e.bytes != 0 {
				t.Errorf("left are %d, %d of %d bytes", len(e.waiting), e.hidden, e.bytes)
			}
		})
	}
}

func TestAPageWaitsWhileNothingCanBeRecorded(t *testing.T) {
	m := lenient(t, "topic write "+shedOwn+"\ntopic read "+shedHeard+"\n") // grants and is quiet
	f := newFront(t, m.address(), func(c *UplinksConfig) { c.Waiting = 4 })
	f.mu.Lock()
	f.fail = errors.New("the disk is full")
	f.mu.Unlock()
	t.Cleanup(f.Need(shed()))
	f.up()
	accepted := 0
	for err := error(nil); err == nil; accepted++ {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err = f.Publish(ctx, shedOwn, []byte{byte(accepted)}, 1)
		cancel()
		if err != nil && !errors.Is(err, errCrowded) {
			t.Fatal(err)
		}
		if accepted > 20 {
			t.Fatal("there is no end to what waits")
		}
	}
	f.mu.Lock()
	f.fail = nil
	f.mu.Unlock()
	f.count(accepted - 1)
}

func TestANudgeIsForTheConnectionAlone(t *testing.T) {
	failures := 3
	c := UplinksConfig{RetryFirst: 20 * time.Millisecond, Take: func(context.Context, []Arrival) error {
		if failures--; failures >= 0 {
			return errors.New("the disk is full")
		}
		return nil
	}}
	l := &uplink{up: &Uplinks{UplinksConfig: c.withDefaults()}, errand: &houseErrand{House: &House{}}, nudge: make(chan struct{}, 1)}
	l.nudge <- struct{}{}
	if !l.settle(t.Context(), []Arrival{numbered(0, 100)}) || len(l.nudge) != 1 {
		t.Errorf("what waits to be recorded took the nudge: %d are left", len(l.nudge))
	}
}

func TestWhatIsSentAnywhereIsShownAsSentAndNeverAsItComesBack(t *testing.T) {
	said := Arrival{Topic: "home/shed/set", Payload: []byte("ON")}
	shown := Arrival{Topic: "shown", Payload: []byte("a person sent ON")}
	sum := sumOf(said.Topic, said.Payload)
	open := func() *echoes {
		e := &echoes{asSent: true, within: time.Second, wake: func() {}, most: 8, mostBytes: 1 << 20}
		if !e.begin(sum, shown) {
			t.Fatal("no room")
		}
		return e
	}
	for name, tt := range map[string]struct {
		happens func(e *echoes) (shown, asCame int)
		want    int
	}{
		"it comes back after its acknowledgement": {func(e *echoes) (int, int) {
			first := seen(e.end(sum, true))
			return first, came(t, e, said)
		}, 1},
		"it comes back before its acknowledgement": {func(e *echoes) (int, int) {
			back := came(t, e, said)
			return seen(e.end(sum, true)), back
		}, 1},
		"it comes back, and the acknowledgement is lost": {func(e *echoes) (int, int) {
			back := came(t, e, said)
			return seen(e.end(sum, false)), back
		}, 1},
		"it comes back long after the acknowledgement was lost": {func(e *echoes) (int, int) {
			first := seen(e.end(sum, false))
			as, show := e.came(said)
			if !show || as.Topic != shown.Topic {
				t.Errorf("shown is %+v, %v", as, show)
			}
			return first + 1, 0
		}, 1},
		"it never comes back": {func(e *echoes) (int, int) { return seen(e.end(sum, true)), 0 }, 1},
		"it never arrived":    {func(e *echoes) (int, int) { return seen(e.end(sum, false)), 0 }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := open()
			if shown, asCame := tt.happens(e); shown != tt.want || asCame != 0 {
				t.Errorf("shown %d times, and %d times as it came", shown, asCame)
			}
			if show, _ := e.overdue(time.Now().Add(2 * lateEcho)); len(show) != 0 {
				t.Errorf("later it is shown %d times more", len(show))
			}
			if e.overdue(time.Now().Add(4 * lateEcho)); len(e.waiting) != 0 || e.hidden != 0 || e.bytes != 0 {
				t.Errorf("left are %d, %d of %d bytes", len(e.waiting), e.hidden, e.bytes)
			}
			if as, show := e.came(said); !show || as.Topic != said.Topic {
				t.Error("what a device says of itself later is not shown")
			}
		})
	}
}

func TestWhatNobodyConfirmedIsForgottenInTime(t *testing.T) {
	said := Arrival{Topic: "home/shed/set", Payload: []byte("ON"), At: time.Now()}
	sum := sumOf(said.Topic, said.Payload)
	woken := 0
	e := &echoes{asSent: true, within: time.Second, wake: func() { woken++ }, most: 8, mostBytes: 1 << 20}
	for _, taken := range []bool{true, false} {
		e.begin(sum, Arrival{Topic: "shown", At: said.At})
		if shown := seen(e.end(sum, taken)); shown+woken != 1 { // what is shown wakes by itself
			t.Errorf("confirmed %v: shown %d times, and woken %d times", taken, shown, woken)
		}
		later := said
		later.At = time.Now().Add(2 * lateEcho) // before anybody has cleared up
		if as, show := e.came(later); !show || as.Topic != said.Topic || !as.At.Equal(later.At) {
			t.Errorf("confirmed %v: what somebody else said is shown as %+v, %v", taken, as, show)
		}
		if e.overdue(later.At); len(e.waiting) != 0 || e.hidden != 0 || e.bytes != 0 {
			t.Errorf("confirmed %v: left are %d, %d of %d bytes", taken, len(e.waiting), e.hidden, e.bytes)
		}
	}
}

func seen(a *Arrival) int {
	if a == nil {
		return 0
	}
	return 1
}

func came(t *testing.T, e *echoes, a Arrival) int {
	t.Helper()
	if _, show := e.came(a); show {
		return 1
	}
	return 0
}

func TestABrokerThatBringsNothingBackIsNotWaitedFor(t *testing.T) {
	e := &echoes{within: time.Hour, wake: func() {}, most: 100, mostBytes: 1 << 20}
	e.grant(true)
	send := func(n int) *Arrival {
		a := numbered(n, 10)
		if !e.begin(sumOf(a.Topic, a.Payload), a) {
			t.Fatalf("no room for message %d", n)
		}
		return e.end(sumOf(a.Topic, a.Payload), true)
	}
	now := time.Now()
	for n := range mostMissed {
		if send(n) != nil {
			t.Fatalf("message %d is not waited for", n)
		}
	}
	e.waiting[mostMissed-1].due = now.Add(3 * time.Hour) // the last one's time is not over
	if show, _ := e.overdue(now.Add(2 * time.Hour)); len(show) != mostMissed-1 {
		t.Errorf("%d are shown", len(show))
	}
	if echo, news := e.lesson(); echo != access.EchoUnknown || news {
		t.Errorf("too few say %v, %v", echo, news)
	}
	if send(50) != nil {
		t.Error("it is not waited for yet")
	}
	show, _ := e.overdue(now.Add(150 * time.Minute))
	if len(show) != 2 || !bytes.Equal(show[1].Payload, numbered(50, 10).Payload) {
		t.Errorf("in the end %d are shown", len(show)) // the one that had time left goes before those that are sent now
	}
	if echo, news := e.lesson(); echo != access.EchoNever || !news {
		t.Errorf("known is %v, %v", echo, news)
	}
	if a := send(51); a == nil || !bytes.Equal(a.Payload, numbered(51, 10).Payload) {
		t.Errorf("at once is shown %v", a)
	}
	if came(t, e, numbered(51, 10)) != 0 {
		t.Error("its echo after all is shown a second time")
	}
	if echo, news := e.lesson(); echo != access.EchoComes || !news {
		t.Errorf("after that known is %v, %v", echo, news)
	}
	if _, news := e.lesson(); news || send(52) != nil {
		t.Error("it is not waited for again")
	}
	e.overdue(now.Add(4 * time.Hour))
	if echo, news := e.lesson(); echo != access.EchoComes || news {
		t.Errorf("one that is missing says %v, %v", echo, news)
	}
}

func TestWhatIsKnownOfABrokerOutlivesTheLink(t *testing.T) {
	for name, tt := range map[string]struct {
		acl  string
		want access.Echo
	}{
		"quiet":       {"topic write " + shedOwn + "\ntopic read " + shedHeard + "\n", access.EchoNever},
		"it tells us": {fullACL, access.EchoComes},
	} {
		t.Run(name, func(t *testing.T) {
			m := lenient(t, tt.acl)
			learned := make(chan access.Echo, 10)
			remember := func(c *UplinksConfig) { c.SetEcho = func(_ string, e access.Echo) { learned <- e } }
			f := newFront(t, m.address(), remember)
			t.Cleanup(f.Need(shed()))
			f.up()
			for n := range mostMissed {
				if err := f.Publish(t.Context(), shedOwn, fmt.Append(nil, n), 1); err != nil {
					t.Fatal(err)
				}
			}
			if got := <-learned; got != tt.want {
				t.Errorf("learned %v, want %v", got, tt.want)
			}
			f.count(mostMissed)
			if err := f.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			again := newFront(t, m.address(), remember, func(c *UplinksConfig) {
				c.Echo, c.EchoIn = func(string) access.Echo { return tt.want }, time.Hour // who waits, waits for ever
			})
			t.Cleanup(again.Need(shed()))
			again.up()
			if err := again.Publish(t.Context(), shedOwn, []byte("later"), 1); err != nil {
				t.Fatal(err)
			}
			took := again.until(func(a []Arrival) bool { return len(a) > 0 && string(a[len(a)-1].Payload) == "later" })
			if last := took[len(took)-1]; last.Sent != (tt.want == access.EchoNever) {
				t.Errorf("it was shown as sent: %v", last.Sent)
			}
			if len(learned) != 0 {
				t.Error("what was known is told again")
			}
		})
	}
}
