package mqttproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What the client library is known to do wrong has a test each. These are here or elsewhere:
//
//   - it stands still while a handler runs: TestASlowTakerHoldsUpNeitherPingsNorOrder, TestASlowTakerHoldsUpNoPublishing
//   - it loses the order of messages, unless it is told to keep it: the same, and TestNothingIsLostWhenTheBrokerRestarts
//   - it does not subscribe again: TestEveryConnectionSubscribes, whatever the broker says of the session it has kept
//   - it drops what comes before a SUBACK: TestWhatComesBeforeTheSubscriptionIsTaken
//   - tokens of a lost connection never complete, or complete without an error: TestPublishingWhileTheConnectionDies,
//     TestWhatWasAcknowledgedToAPageHasArrived
//   - a client that is used for a second connection races: TestLossAtAnyMomentIsSurvived, under the race detector
//   - it waits for ever for a write: TestABrokerThatReadsNothingIsGivenUp
//   - its waits between tries have no jitter and grow to ten minutes: TestWaitsBetweenTriesAreBoundedAndSpread
//   - it tries a refused login once more as MQTT 3.1: TestARefusedLoginIsOneLogin
//   - it allocates whatever a packet announces, and believes the count of codes: TestAHostileBrokerCostsLittle, FuzzFraming
//   - it keeps any number of messages for a handler: TestAFloodIsBounded, TestTheInboxIsBoundedByBytes
//   - it takes ten goroutines a client: TestManyReadersAreOneConnectionBesideTheDevice
//   - two of the same client id throw each other out for ever: TestAFightForTheEntityIsRecognised, TestAFightIsLeftAlone

func TestASlowTakerHoldsUpNoPublishing(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address(), func(c *UplinksConfig) { c.RetryFirst, c.RetryMost = time.Hour, time.Hour })
	t.Cleanup(f.Need(shed()))
	f.up()
	f.mu.Lock()
	f.fail = errors.New("the disk is slow")
	f.mu.Unlock()
	send(t, m.service(), shedHeard, "waits for the disk", 1)
	m.said("Sending PUBLISH to "+shedOurs, 1)
	for n := range 50 {
		if err := f.Publish(t.Context(), shedOwn, fmt.Append(nil, n), 1); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
}

func TestWhatComesBeforeTheSubscriptionIsTaken(t *testing.T) {
	const all = 50
	p := newPuppet(t, nil)
	var suback sync.WaitGroup
	suback.Add(1)
	for n := range all { // of the session that the broker has kept
		p.connack = append(p.connack, publishPacket(shedHeard, fmt.Sprint(n), 1, uint16(n+1))...)
	}
	p.suback = func(id []byte) []byte {
		suback.Wait()
		return []byte{0x90, 3, id[0], id[1], 1}
	}
	f := newFront(t, p.at)
	t.Cleanup(f.Need(shed()))
	t.Cleanup(sync.OnceFunc(suback.Done))
	for n, a := range f.count(all) {
		if string(a.Payload) != fmt.Sprint(n) {
			t.Fatalf("message %d is %q", n, a.Payload)
		}
	}
	if f.Stats().Up != 0 {
		t.Error("the link counts as up before it has subscribed")
	}
}

func TestARefusedLoginIsOneLogin(t *testing.T) {
	for code, why := range map[byte]Why{1: WhyAway, 2: WhyConsent, 4: WhyRefused, 5: WhyConsent} {
		p := newPuppet(t, nil)
		p.connack = []byte{0x20, 2, 0, code}
		f := newFront(t, p.at, func(c *UplinksConfig) { c.RetryFirst, c.RetryMost, c.FightPause = time.Hour, time.Hour, time.Hour })
		t.Cleanup(f.Need(shed()))
		f.is(because(why))
		if n := p.runs.Load(); n != 1 {
			t.Errorf("code %d: %d connections", code, n)
		}
	}
}

func TestABrokerThatReadsNothingIsGivenUp(t *testing.T) {
	hold := make(chan struct{})
	p := newPuppet(t, nil)
	p.deaf = hold
	f := newFront(t, p.at, func(c *UplinksConfig) {
		c.WriteIn, c.Silence, c.RetryFirst, c.RetryMost = 300*time.Millisecond, time.Hour, time.Hour, time.Hour
	})
	t.Cleanup(func() { close(hold) })
	t.Cleanup(f.Need(shed()))
	f.up()
	began := time.Now()
	var sending sync.WaitGroup
	var unsure atomic.Int32
	for range 20 { // more than the network keeps for somebody who does not read
		sending.Go(func() {
			if err := f.Publish(t.Context(), shedOwn, bytes.Repeat([]byte("x"), 1<<20), 1); errors.As(err, &unsureError{}) || errors.Is(err, errLinkDown) {
				unsure.Add(1)
			}
		})
	}
	sending.Wait()
	if took := time.Since(began); took > 20*time.Second || unsure.Load() != 20 {
		t.Errorf("%d of 20 were told, after %v", unsure.Load(), took)
	}
	f.is(func(s State) bool { return s.Down })
}

func TestWaitsBetweenTriesAreBoundedAndSpread(t *testing.T) {
	for failures, most := range map[int]time.Duration{0: 500 * time.Millisecond, 1: time.Second, 4: 8 * time.Second, 5: 15 * time.Second, 100: 15 * time.Second} {
		var low, high int
		for range 400 {
			switch wait := jitter(500*time.Millisecond, 15*time.Second, failures); {
			case wait < 0 || wait > most:
				t.Fatalf("after %d failures it waits %v, of at most %v", failures, wait, most)
			case wait < most/2:
				low++
			default:
				high++
			}
		}
		if low < 100 || high < 100 {
			t.Errorf("after %d failures %d waits are short and %d long: they are to be spread", failures, low, high)
		}
	}
}

// A conversation is cut after each of its bytes, and each of its bytes is once another: nothing of it hangs, panics or is lost.
func TestLossAtAnyMomentIsSurvived(t *testing.T) {
	answers := [][]byte{{0x20, 2, 0, 0}, {0x90, 3, 0, 1, 1}, slices.Concat([]byte{0x90, 3, 0, 2, 1},
		publishPacket(shedHeard, "in between", 1, 7), publishPacket(shedOwn, "of the device", 0, 0), []byte{0x40, 2, 0, 3, 0xd0, 0})}
	var plays [][][]byte
	for i, answer := range answers {
		for n, was := range answer {
			plays = append(plays, append(slices.Clone(answers[:i]), answer[:n]))
			for _, other := range []byte{0, 0xff, was ^ 0x10, was + 1} {
				wrong := slices.Clone(answers)
				wrong[i] = bytes.Clone(answer)
				wrong[i][n] = other
				plays = append(plays, wrong)
			}
		}
	}
	p := newPuppet(t, nil)
	f := newFront(t, p.at, func(c *UplinksConfig) {
		c.RetryFirst, c.RetryMost, c.FightPause = time.Nanosecond, time.Nanosecond, time.Nanosecond
		c.ConnectIn = 250 * time.Millisecond
	})
	says := script(func(run int) [][]byte {
		if run > len(plays) {
			return nil
		}
		f.forgive("k1")
		return plays[run-1]
	})
	p.script.Store(&says)
	t.Cleanup(f.Need(shed()))
	quit := make(chan struct{})
	var sending sync.WaitGroup
	for range 4 {
		sending.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // nobody acknowledges it
					_ = f.Publish(ctx, shedOwn, []byte("press"), 1)
					<-ctx.Done() // as a page that takes its time
					cancel()
				}
			}
		})
	}
	for until := time.Now().Add(time.Minute); int(p.runs.Load()) <= len(plays) || f.Stats().Up == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("it is at connection %d of %d: %+v", p.runs.Load(), len(plays), f.StateOf(shed()))
		}
	}
	close(quit)
	sending.Wait()
	t.Logf("%d conversations were cut or made wrong", len(plays))
}

// forgive has the link of a key ask for its own publish topic again, however that ended before.
func (f *front) forgive(keyID string) {
	f.Uplinks.mu.Lock()
	defer f.Uplinks.mu.Unlock()
	if l := f.links[keyID]; l != nil {
		k := l.errand.(*keyErrand)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.noOwn = false
	}
}

func TestTheInboxIsBoundedByBytes(t *testing.T) {
	q := newInbox(1000, 500)
	var lost atomic.Uint64
	q.lostAll = &lost
	for n := range 20 {
		if !q.put(numbered(n, 100-len(shedOwn)), 0) {
			t.Fatalf("message %d at QoS 0 was refused", n)
		}
	}
	for n := range 5 {
		if !q.put(numbered(100+n, 100-len(shedOwn)), 1) {
			t.Fatalf("message %d at QoS 1 was refused", n)
		}
	}
	if q.put(numbered(105, 100-len(shedOwn)), 1) {
		t.Error("there is room for one more at QoS 1")
	}
	if lost.Load() != 15 || q.bytes != [2]int{500, 500} {
		t.Errorf("%d were dropped, %v bytes are kept", lost.Load(), q.bytes)
	}
	got := q.take(100)
	want := []byte{15, 16, 17, 18, 19, 100, 101, 102, 103, 104}
	if len(got) != len(want) || q.bytes != [2]int{} {
		t.Fatalf("%d come out, %v bytes are left", len(got), q.bytes)
	}
	for i, a := range got {
		if a.Payload[3] != want[i] {
			t.Errorf("message %d is number %d, want %d", i, a.Payload[3], want[i])
		}
	}
	if !q.put(numbered(1, 100_000), 1) || q.put(numbered(2, 100), 1) {
		t.Error("one that is too big for all the room has to fit alone, and nothing beside it")
	}
}

// Somebody else has the entity's name. By the clock of the bubble: three connections lost, and from then on one try a minute.
func TestAFightIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &uplink{up: &Uplinks{UplinksConfig: UplinksConfig{}.withDefaults()}, errand: &keyErrand{}}
		lose := func(after time.Duration) (Why, time.Duration) {
			time.Sleep(after)
			wait := l.judge(t.Context(), after, fmt.Errorf("%w: by somebody", errDropped), 0)
			return l.state().Why, wait
		}
		for round := range fightRounds - 1 {
			if why, wait := lose(time.Second); why != WhyAway || wait > l.up.RetryMost {
				t.Fatalf("after round %d it is %q, and again in %v", round+1, why, wait)
			}
		}
		for range 100 {
			why, wait := lose(time.Second)
			if why != WhyTaken || wait < time.Minute {
				t.Fatalf("then it is %q, and again in %v", why, wait)
			}
			time.Sleep(wait)
		}
		if why, wait := lose(16 * time.Second); why != WhyAway || wait > l.up.RetryMost {
			t.Errorf("when one has held it is %q, and again in %v", why, wait)
		}
	})
}

func TestTheHandshakeIsNotFollowedElsewhere(t *testing.T) {
	var asked, led atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { led.Add(1) }))
	t.Cleanup(other.Close)
	for _, code := range []int{301, 302, 307, 308} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			http.Redirect(w, r, other.URL+"/ws", code)
		}))
		t.Cleanup(web.Close)
		at, err := url.Parse("ws" + strings.TrimPrefix(web.URL, "http") + "/ws")
		if err != nil {
			t.Fatal(err)
		}
		f := newFront(t, at, func(c *UplinksConfig) { c.RetryFirst, c.RetryMost = time.Hour, time.Hour })
		t.Cleanup(f.Need(shed()))
		f.is(because(WhyAway))
	}
	if asked.Load() != 4 || led.Load() != 0 {
		t.Errorf("asked %d times, led elsewhere %d times", asked.Load(), led.Load())
	}
}
