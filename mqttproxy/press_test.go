package mqttproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"trellis/access"
)

// overLinks is a Source of links alone.
type overLinks struct{ *Uplinks }

func (overLinks) Subscribe(func(Message)) func() { return func() {} }

func (overLinks) State() State { return State{} }

// pressOn presses for as long as this and says whether it was handed to the broker.
func pressOn(t *testing.T, f *front, limit time.Duration, payload string, handing func() error) (handed bool, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return pressIn(ctx, f, payload, handing)
}

func pressIn(ctx context.Context, f *front, payload string, handing func() error) (handed bool, err error) {
	err = NewHub(Config{Source: overLinks{f.Uplinks}}).Press(ctx, shed(), shedOwn, []byte(payload), func() error {
		handed = true
		return handing()
	})
	return handed, err
}

func fine() error { return nil }

// hearing gives what somebody at the broker hears of the key.
func (m *mosquitto) hearing(t *testing.T) chan string {
	t.Helper()
	heard := make(chan string, 10)
	if token := m.service().Subscribe(shedOwn, 1, func(_ mqtt.Client, m mqtt.Message) { heard <- string(m.Payload()) }); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal("nobody can listen")
	}
	return heard
}

func nextHeard(t *testing.T, heard chan string, want string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != want {
			t.Errorf("%q arrives, and should not before %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%q does not arrive", want)
	}
}

func TestAPressGoesByALinkThatNobodyElseNeeds(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	heard := m.hearing(t)
	if handed, err := pressOn(t, f, 10*time.Second, "one", fine); err != nil || !handed {
		t.Fatal(handed, err)
	}
	nextHeard(t, heard, "one")
	forbidden := errors.New("the key has ended")
	if _, err := pressOn(t, f, 10*time.Second, "two", func() error { return forbidden }); !isNotSent(err) || !errors.Is(err, forbidden) {
		t.Errorf("what is forbidden at the last moment: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := pressIn(ctx, f, "late", func() error { cancel(); return nil }); !isNotSent(err) {
		t.Errorf("whose time is over once it was noted: %v", err)
	}
	if _, err := pressOn(t, f, 10*time.Second, "three", fine); err != nil {
		t.Fatal(err)
	}
	nextHeard(t, heard, "three")
}

func isNotSent(err error) bool {
	var not NotSentError
	return errors.As(err, &not)
}

func TestAFrozenBrokerIsHandedNoPress(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	t.Cleanup(f.Need(shed()))
	f.up()
	heard := m.hearing(t)
	_ = m.cmd.Process.Signal(syscall.SIGSTOP)
	if handed, err := pressOn(t, f, 500*time.Millisecond, "late", fine); handed || !isNotSent(err) {
		t.Errorf("a frozen broker: handed %v, %v", handed, err)
	}
	_ = m.cmd.Process.Signal(syscall.SIGCONT)
	if _, err := pressOn(t, f, 10*time.Second, "now", fine); err != nil {
		t.Fatal(err)
	}
	nextHeard(t, heard, "now")
}

func TestWithoutALinkNothingIsPressed(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	_ = m.cmd.Process.Signal(syscall.SIGSTOP)
	if handed, err := pressOn(t, f, 300*time.Millisecond, "late", fine); handed || !isNotSent(err) {
		t.Errorf("without a link: handed %v, %v", handed, err)
	}
	_ = m.cmd.Process.Signal(syscall.SIGCONT)
}

func TestAPressWaitsForTheNextConnection(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	t.Cleanup(f.Need(shed()))
	heard := m.hearing(t)
	for n := range 10 {
		f.up()
		l := f.linkFor(shed())
		l.current().end(io.ErrUnexpectedEOF) // it takes the link a moment to see that
		payload := fmt.Sprint(n)
		if handed, err := pressOn(t, f, 10*time.Second, payload, fine); err != nil || !handed {
			t.Fatal(n, handed, err)
		}
		nextHeard(t, heard, payload)
	}
}

func TestWhatANetworkSwallowsIsUnsureAndNotSentAgain(t *testing.T) {
	m := lenient(t, fullACL)
	s := newSwallower(t, m.address().Host)
	f := newFront(t, s.at)
	t.Cleanup(f.Need(shed()))
	f.up()
	heard := m.hearing(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	handed, err := pressIn(ctx, f, "swallowed", func() error {
		s.age.Add(1)
		time.AfterFunc(500*time.Millisecond, cancel)
		return nil
	})
	if !handed || err == nil || isNotSent(err) {
		t.Errorf("swallowed: handed %v, %v", handed, err)
	}
	if _, err := pressOn(t, f, 10*time.Second, "after", fine); err != nil {
		t.Fatal(err)
	}
	nextHeard(t, heard, "after")
}

func TestWhatABrokerInsideDoesNotWant(t *testing.T) {
	for name, why := range map[string]interface {
		error
		Sentence() string
	}{"ever": finalError{}, "now": untakenError{}} {
		source := &fakeSource{refuse: func(publish) error { return fmt.Errorf("publish: %w", why) }}
		err := NewHub(Config{Source: source}).Press(t.Context(), access.Grant{}, "t", nil, fine)
		if refused := (RefusedError{}); !errors.As(err, &refused) || refused.Words != why.Sentence() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type untakenError struct{}

func (untakenError) Error() string    { return "not now" }
func (untakenError) Untaken() bool    { return true }
func (untakenError) Sentence() string { return "There is no room. Nothing was sent." }

type finalError struct{}

func (finalError) Error() string    { return "for nobody" }
func (finalError) Final() bool      { return true }
func (finalError) Sentence() string { return "It is for nobody." }

func TestAPressLeavesAPageItsOwnSession(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	g := shed()
	g.SignIn = "a browser"
	id, err := f.Lend(g)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := NewHub(Config{Source: overLinks{f.Uplinks}}).Press(ctx, g, shedOwn, []byte("one"), fine); err != nil {
		t.Fatal(err)
	}
	if again, err := f.Lend(g); err != nil || again != id {
		t.Errorf("after a press the page that goes past us is lent %q (%v), and had %q", again, err, id)
	}
}
