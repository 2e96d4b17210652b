package mqttproxy

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"trellis/access"
)

// slowPile waits its turn for the one writer of the database.
type slowPile struct{ *pile }

func (p slowPile) Expire(ctx context.Context, key string) (int, error) {
	time.Sleep(5 * time.Millisecond)
	return p.pile.Expire(ctx, key)
}

func TestLettersGoWhileTheirProgramLeavesMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarBroker(), newPile(letter("a", time.Hour))
		o := outboxOf(p, f)
		o.Letters, o.Source = slowPile{p}, struct{ Source }{f} // reached without links
		o.Wake("k1")
		for range 25 {
			time.Sleep(4 * time.Millisecond)
			o.Wake("k1")
		}
		if got, _ := f.came(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("while more came %v was sent", got)
		}
		closed(t, o)
	})
}

func TestAKeyThatEndsBeforeItsLetterIsOutSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarBroker(), newPile(letter("a", time.Hour))
		o := outboxOf(p, f)
		asked := 0
		o.Source = struct{ Source }{f}
		o.Grant = func(string) (access.Grant, error) {
			if asked++; asked > 1 {
				return access.Grant{}, access.ErrKeyRevoked
			}
			return shed(), nil
		}
		o.Wake("k1")
		synctest.Wait()
		if got, _ := f.came(); len(got) != 0 || p.end("a") != "refused" {
			t.Errorf("sent %v, ends %v", got, p.ends)
		}
		closed(t, o)
	})
}

func TestABrokerThatNeverAnswersKeepsNoLetterForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarBroker(), newPile(letter("a", time.Hour), letter("b", time.Second))
		close(f.up)
		f.publish = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return unsureError{ctx.Err()}
		}
		o := outboxOf(p, f)
		_ = o.Start(t.Context())
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if got, _ := f.came(); len(got) != 1 {
			t.Errorf("before a connection is given up %v was sent", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.end("b") != "expired" {
			t.Errorf("one whose time is over: %v", p.ends)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, needs := f.came(); p.end("a") != "expired" || needs != 0 || o.Stats().Expired != 2 {
			t.Errorf("ends %v, the link is needed %d times, %+v", p.ends, needs, o.Stats())
		}
		closed(t, o)
	})
}

func TestAKeyThatEndsWhileTheBrokerDoesNotAnswerLosesItsLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarBroker(), newPile(letter("a", time.Hour))
		close(f.up)
		f.publish = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return unsureError{ctx.Err()}
		}
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
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, needs := f.came(); len(got) != 1 || needs != 0 || p.end("a") != "refused" {
			t.Errorf("sent %v, ends %v, the link is needed %d times", got, p.ends, needs)
		}
		closed(t, o)
	})
}

// badPile panics so many times when it is asked to look.
type badPile struct {
	*pile
	panics int
}

func (p *badPile) Expire(ctx context.Context, key string) (int, error) {
	if p.panics--; p.panics >= 0 {
		panic("a mistake")
	}
	return p.pile.Expire(ctx, key)
}

func TestAMistakeCostsOneLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarBroker(), newPile(letter("a", time.Hour), letter("bad", time.Hour), letter("c", time.Hour))
		close(f.up)
		f.publish = func(_ context.Context, payload string) error {
			if payload == "bad" {
				panic("a mistake")
			}
			return nil
		}
		o := outboxOf(p, f)
		o.Letters = &badPile{p, 2} // and where none is in hand, none is lost
		o.Wake("k1")
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, needs := f.came(); !slices.Equal(got, []string{"a", "bad", "c"}) || p.end("bad") != "refused" || p.end("c") != "sent" || needs != 0 {
			t.Errorf("sent %v, ends %v, the link is needed %d times", got, p.ends, needs)
		}
		if s := o.Stats(); s.Sent != 2 || s.Refused != 1 || s.Panics != 3 {
			t.Errorf("%+v", s)
		}
		closed(t, o)
	})
}
