package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"trellis/access"
)

// Whoever asks a hundred things at once waits for himself, and not others for him.
func TestQuestionsWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line, now, most, refused := newTurns(), 0, 0, 0
		results := make(chan error, 100)
		slow := func() error {
			now++ // one at a time: nobody else counts
			most = max(most, now)
			time.Sleep(time.Second)
			now--
			return nil
		}
		for range 100 {
			go func() { results <- line.take(t.Context(), access.Grant{KeyID: "greedy"}, slow) }()
		}
		synctest.Wait()
		began := time.Now()
		if err := line.take(t.Context(), access.Grant{KeyID: "modest"}, func() error { return nil }); err != nil || time.Since(began) > 0 {
			t.Errorf("another waited %s, %v", time.Since(began), err)
		}
		for range 100 {
			var limited tooMany
			if err := <-results; errors.As(err, &limited) {
				refused++
			} else if err != nil {
				t.Error(err)
			}
		}
		if most != 1 || refused != 100-turnsWaited || len(line.of) != 0 {
			t.Errorf("%d at once, %d refused, %d left", most, refused, len(line.of))
		}
	})
}

func TestWhoGoesAwayLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := newTurns()
		hold := make(chan struct{})
		for _, key := range []string{"a", "b"} {
			go func() { _ = line.take(t.Context(), access.Grant{KeyID: key}, func() error { <-hold; return nil }) }()
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			left <- line.take(ctx, access.Grant{KeyID: "c"}, func() error { t.Error("three at once"); return nil })
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("it left with %v", err)
		}
		close(hold)
		synctest.Wait()
		if len(line.of) != 0 || len(line.all) != 0 {
			t.Errorf("%d keys and %d turns are left", len(line.of), len(line.all))
		}
	})
}

// Each of the dear questions waits while all turns are taken, and none asks for two turns, of which it would never get the second.
func TestDearQuestionsTakeOneTurn(t *testing.T) {
	s, _, shed, _ := absence(t, nil)
	b := comeIn(t, s, shed)
	value := "entity=shed&reading=temp_c"
	for _, path := range []string{
		"/value?" + value, "/happened", "/history/happened", "/history/latest", "/history/devices", "/history/presses", "/history/range?" + value,
		"/history/messages", "/history/export?" + value,
	} {
		t.Run(path, func(t *testing.T) {
			for range turnsAtOnce {
				s.server.turns.all <- struct{}{}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			answered := make(chan error, 1)
			go func() {
				answer, err := b.Do(request)
				if err == nil {
					_, err = io.Copy(io.Discard, answer.Body)
					err = errors.Join(err, answer.Body.Close())
					if answer.StatusCode != http.StatusOK {
						err = errors.Join(err, errors.New(answer.Status))
					}
				}
				answered <- err
			}()
			for waits := false; !waits; { // for its turn
				select {
				case err := <-answered:
					t.Fatalf("it was answered out of turn, %v", err)
				default:
				}
				s.server.turns.mu.Lock()
				waits = len(s.server.turns.of) > 0
				s.server.turns.mu.Unlock()
				runtime.Gosched()
			}
			for range turnsAtOnce {
				<-s.server.turns.all
			}
			if err := <-answered; err != nil {
				t.Error(err)
			}
		})
	}
}
