package hostile

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAGoodNetworkHandsEverythingOn(t *testing.T) {
	b := newBench(t, Bad{})
	for i := range 5 {
		if status, _, err := b.post("/live/up", string(rune('a'+i))); status != http.StatusOK || err != nil {
			t.Errorf("upload: %d %v", status, err)
		}
	}
	if got := b.arrived(); got != "a b c d e" {
		t.Errorf("arrived: %s", got)
	}
	if c := b.upgrade(); c.status != http.StatusSwitchingProtocols || c.echoed(prompt) != nil || c.echoed(prompt) != nil {
		t.Errorf("a tunnel does not carry")
	}
}

func TestRefusalsOfUpgrades(t *testing.T) {
	for how, status := range map[string]int{"403": 403, "400": 400, "page": 200, "redirect": 302} {
		t.Run(how, func(t *testing.T) {
			b := newBench(t, Bad{Upgrade: how})
			if got := b.upgrade().status; got != status {
				t.Errorf("status %d, want %d", got, status)
			}
			if status, _, err := b.post("/live/up", "a"); status != http.StatusOK || err != nil {
				t.Errorf("a plain request was answered %d, %v", status, err)
			}
		})
	}
}

func TestFramesAreSwallowed(t *testing.T) {
	b := newBench(t, Bad{Upgrade: "swallow"})
	c := b.upgrade()
	if err := c.echoed(moment); c.status != http.StatusSwitchingProtocols || !timedOut(err) {
		t.Errorf("%d, then %v; want 101 and silence", c.status, err)
	}
}

func TestATunnelIsCutAfterItsFrames(t *testing.T) {
	for _, frames := range []int{0, 1, 2, 50} {
		b := newBench(t, Bad{Upgrade: "cut", Frames: frames})
		c := b.upgrade()
		got := 0
		for got <= frames && c.echoed(prompt) == nil {
			got++
		}
		if got != frames {
			t.Errorf("%d frames came, want %d", got, frames)
		}
	}
}

func TestWhatIsIdleIsCut(t *testing.T) {
	const idle = 4 * time.Second // a busy machine may keep us from speaking for a second or two
	b := newBench(t, Bad{Idle: idle})
	busy, quiet := b.upgrade(), b.upgrade()
	began := time.Now()
	for time.Since(began) < idle*3/2 {
		if err := busy.echoed(prompt); err != nil {
			t.Fatalf("a busy tunnel was cut after %v: %v", time.Since(began), err)
		}
		time.Sleep(idle / 10)
	}
	if err := quiet.echoed(prompt); err == nil || timedOut(err) {
		t.Errorf("a quiet tunnel: %v, want its end", err)
	}
	answer, err := b.client.Get(b.URL + "/stream")
	if err == nil { // a stream that says nothing has not even a head
		_, err = io.ReadAll(answer.Body)
		_ = answer.Body.Close()
	}
	if err == nil {
		t.Errorf("a quiet stream was not cut")
	}
}

func TestWhatLastsIsCut(t *testing.T) {
	const last = 2 * time.Second
	b := newBench(t, Bad{Last: last})
	b.say <- "a"
	began := time.Now()
	c := b.upgrade()
	answer, err := b.client.Post(b.URL+"/stream", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("a stream came to a clean end")
	}
	for c.echoed(prompt) == nil {
		time.Sleep(last / 20)
	}
	if took := time.Since(began); took < last || took > prompt {
		t.Errorf("cut after %v, want %v", took, last)
	}
	close(b.say)
}

func TestFramesLag(t *testing.T) {
	const lag = 300 * time.Millisecond
	b := newBench(t, Bad{Lag: lag})
	c := b.upgrade()
	began := time.Now()
	if err := c.echoed(prompt); err != nil || time.Since(began) < lag {
		t.Errorf("after %v: %v; want an echo after %v", time.Since(began), err, lag)
	}
}

func TestNothingMovesWhileAMachineSleeps(t *testing.T) {
	b := newBench(t, Bad{})
	c := b.upgrade()
	b.Set(Bad{Still: true})
	if err := c.echoed(moment); !timedOut(err) {
		t.Fatalf("asleep: %v", err)
	}
	b.Set(Bad{})
	_ = c.SetDeadline(time.Now().Add(prompt))
	var got [3]byte
	if _, err := io.ReadFull(c.in, got[:]); err != nil {
		t.Errorf("awake: %v; want what was sent asleep", err)
	}
}

func TestAnAddressChanges(t *testing.T) {
	b := newBench(t, Bad{})
	c := b.upgrade()
	b.Set(Bad{From: "127.0.0.2"})
	if err := c.echoed(prompt); err == nil || timedOut(err) {
		t.Errorf("a tunnel survived: %v", err)
	}
	if _, _, err := b.post("/live/up", "a"); err != nil {
		t.Error(err)
	}
	if got := strings.Join(b.from, " "); got != "127.0.0.1 127.0.0.2" {
		t.Errorf("the server saw %s", got)
	}
}
