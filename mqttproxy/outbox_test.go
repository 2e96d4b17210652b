package mqttproxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trellis/access"
)

// pile keeps letters in memory as a database would.
type pile struct {
	mu      sync.Mutex
	letters []Letter
	ends    map[string]string
	fail    int // so many ends cannot be noted
}

func newPile(letters ...Letter) *pile { return &pile{letters: letters, ends: map[string]string{}} }

func (p *pile) take(drop func(Letter) bool, end string) (n int) {
	p.letters = slices.DeleteFunc(p.letters, func(l Letter) bool {
		if !drop(l) {
			return false
		}
		p.ends[l.ID] = end
		n++
		return true
	})
	return n
}

func (p *pile) Keys(context.Context) (keys []string, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.letters {
		if !slices.Contains(keys, l.KeyID) {
			keys = append(keys, l.KeyID)
		}
	}
	return keys, nil
}

func (p *pile) Next(_ context.Context, key string) (next Letter, first time.Time, there bool, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.letters {
		if l.KeyID != key {
			continue
		}
		if !there {
			next, there = l, true
		}
		if first.IsZero() || l.Until.Before(first) {
			first = l.Until
		}
	}
	return next, first, there, nil
}

func (p *pile) End(_ context.Context, id string, how LetterEnd) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail--; p.fail >= 0 {
		return errors.New("the disk is full")
	}
	p.take(func(l Letter) bool { return l.ID == id }, map[LetterEnd]string{LetterSent: "sent", LetterRefused: "refused"}[how])
	return nil
}

func (p *pile) Expire(_ context.Context, key string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take(func(l Letter) bool { return l.KeyID == key && !time.Now().Before(l.Until) }, "expired"), nil
}

func (p *pile) Refuse(_ context.Context, key string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take(func(l Letter) bool { return l.KeyID == key }, "refused"), nil
}

func (p *pile) add(l Letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.letters = append(p.letters, l)
}

func (p *pile) end(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ends[id]
}

// farBroker is a Source behind a link that is up or down.
type farBroker struct {
	mu      sync.Mutex
	up      chan struct{} // closed while it is
	needs   int
	got     []string
	publish func(ctx context.Context, payload string) error
}

func newFarBroker() *farBroker { return &farBroker{up: make(chan struct{})} }

func (f *farBroker) Subscribe(func(Message)) func() { return func() {} }
func (f *farBroker) State() State                   { return State{} }
func (f *farBroker) StateOf(access.Grant) State     { return State{} }

func (f *farBroker) Need(access.Grant) func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.needs++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.needs--
	}
}

func (f *farBroker) Ready(ctx context.Context, _ access.Grant) error {
	select {
	case <-f.up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *farBroker) Publish(ctx context.Context, _ string, payload []byte, qos byte) error {
	f.mu.Lock()
	f.got = append(f.got, string(payload))
	publish := f.publish
	f.mu.Unlock()
	if qos != 1 {
		return errors.New("not at QoS 1")
	}
	if publish == nil {
		return nil
	}
	return publish(ctx, string(payload))
}

func (f *farBroker) came() (payloads []string, needs int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got), f.needs
}

func letter(id string, in time.Duration) Letter {
	return Letter{ID: id, KeyID: "k1", Topic: shedOwn, Payload: []byte(id), Until: time.Now().Add(in)}
}

func outboxOf(p *pile, f *farBroker) *Outbox {
	return NewOutbox(OutboxConfig{Letters: p, Source: f, Grant: func(string) (access.Grant, error) { return shed(), nil }})
}

func closed(t *testing.T, o *Outbox) {
	t.Helper()
	if err := o.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestLettersWaitForTheLinkAndGoInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarBroker(), newPile(letter("a", time.Hour), letter("b", time.Hour))
		o := outboxOf(p, f)
		if err := o.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if got, needs := f.came(); len(got) != 0 || needs != 1 {
			t.Fatalf("without a link came %v, needed %d times", got, needs)
		}
		p.add(letter("c", time.Hour))
		o.Wake("k1")
		done, leave := o.Follow("c")
		defer leave()
		close(f.up)
		<-done
		synctest.Wait()
		if got, needs := f.came(); !slices.Equal(got, []string{"a", "b", "c"}) || needs != 0 {
			t.Errorf("came %v, the link is needed %d times", got, needs)
		}
		if s := o.Stats(); s.Sent != 3 || p.end("a") != "sent" {
			t.Errorf("%+v", s)
		}
		closed(t, o)
	})
}

func TestWhatExpiredIsNeverSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarBroker(), newPile(letter("a", time.Hour), letter("b", time.Minute), letter("c", 3*time.Hour))
		o := outboxOf(p, f)
		_ = o.Start(t.Context())
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.end("b") != "expired" || p.end("a") != "" { // to the second, though one before it waits
			t.Errorf("after a minute %v", p.ends)
		}
		p.add(letter("d", time.Second))
		o.Wake("k1")
		time.Sleep(time.Second)
		synctest.Wait()
		if p.end("d") != "expired" {
			t.Errorf("one that came later and is shorter: %v", p.ends)
		}
		time.Sleep(time.Hour)
		close(f.up)
		synctest.Wait()
		if got, _ := f.came(); !slices.Equal(got, []string{"c"}) || o.Stats().Expired != 3 {
			t.Errorf("sent %v, %+v", got, o.Stats())
		}
		closed(t, o)
	})
}

func TestALetterIsSentUntilItIsAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarBroker(), newPile(letter("a", time.Hour), letter("b", time.Hour))
		close(f.up)
		tries := 0
		f.publish = func(_ context.Context, payload string) error {
			if tries++; tries < 4 {
				return []error{unsureError{errors.New("reset")}, fmt.Errorf("publish: %w", errLinkDown), errCrowded}[tries-1]
			}
			return nil
		}
		p.fail = 2 // and its end is noted in the end
		o := outboxOf(p, f)
		_ = o.Start(t.Context())
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, _ := f.came(); !slices.Equal(got, []string{"a", "a", "a", "a", "b"}) || o.Stats().Sent != 2 {
			t.Errorf("sent %v, %+v", got, o.Stats())
		}
		closed(t, o)
	})
}

func TestALetterOverWhichTheBrokerHangsUpHoldsUpNobodyForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarBroker(), newPile(letter("bad", time.Hour), letter("good", time.Hour))
		close(f.up)
		f.publish = func(_ context.Context, payload string) error {
			if payload == "bad" {
				return unsureError{errDropped}
			}
			return nil
		}
		o := outboxOf(p, f)
		_ = o.Start(t.Context())
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got, _ := f.came(); len(got) != mostBroken+1 || p.end("bad") != "refused" || p.end("good") != "sent" {
			t.Errorf("sent %v, ends %v", got, p.ends)
		}
		closed(t, o)
	})
}

func TestLettersOfAKeyThatEndsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarBroker(), newPile(letter("a", time.Hour), letter("b", time.Hour))
		o := outboxOf(p, f)
		ended := false
		o.Grant = func(string) (access.Grant, error) {
			if ended {
				return access.Grant{}, access.ErrKeyRevoked
			}
			return shed(), nil
		}
		_ = o.Start(t.Context())
		synctest.Wait()
		ended = true
		o.Wake("k1")
		synctest.Wait()
		close(f.up)
		synctest.Wait()
		if got, needs := f.came(); len(got) != 0 || needs != 0 || p.end("a") != "refused" || o.Stats().Refused != 2 {
			t.Errorf("sent %v, ends %v, needed %d times", got, p.ends, needs)
		}
		closed(t, o)
	})
}

func TestClosingLetsWhatIsOnItsWayArrive(t *testing.T) {
	for name, tt := range map[string]struct {
		takes time.Duration
		want  string
	}{"when that is soon": {time.Second, "sent"}, "but not for ever": {time.Hour, ""}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := newFarBroker(), newPile(letter("a", 9*time.Hour), letter("b", 9*time.Hour))
				close(f.up)
				f.publish = func(ctx context.Context, _ string) error {
					select {
					case <-time.After(tt.takes):
						return nil
					case <-ctx.Done():
						return unsureError{ctx.Err()}
					}
				}
				o := outboxOf(p, f)
				_ = o.Start(t.Context())
				synctest.Wait()
				began := time.Now()
				closed(t, o)
				o.Wake("k1") // after the end nothing begins
				synctest.Wait()
				if got, _ := f.came(); len(got) != 1 || p.end("a") != tt.want || time.Since(began) > 2*time.Second {
					t.Errorf("sent %v, ends %v, after %v", got, p.ends, time.Since(began))
				}
			})
		})
	}
}
