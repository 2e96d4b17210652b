package history

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"trellis/message"
)

// momentStore is a store whose clock a test moves.
func momentStore(t *testing.T, cfg Config) (s *Store, now *time.Time) {
	t.Helper()
	s, err := Open(t.Context(), t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s.clock = func() time.Time { return at }
	return s, &at
}

func momentOf(n int, board string, now time.Time) Moment {
	return Moment{
		ID: fmt.Sprint("m", n), Hash: [32]byte{byte(n), byte(n >> 8), 1}, Board: board, About: "shed", Reading: "temp", Title: "A cold night",
		From: now.Add(-time.Hour), To: now, Data: []byte(`{"points":[1]}`), Made: now,
	}
}

func TestAMomentOutlivesWhatItWasMadeOf(t *testing.T) {
	s, now := momentStore(t, Config{Keep: 24 * time.Hour})
	err := s.Append(t.Context(), []message.Message{said("a/b/k/publish", "shed", `{"temp":21}`, *now), said("a/b/k/publish", "shed", `{"temp":22}`, *now)})
	if err != nil {
		t.Fatal(err)
	}
	m := momentOf(1, "a:b:shed", *now)
	if err := s.AddMoment(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(100 * 24 * time.Hour)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	drawn, err := s.Range(t.Context(), nil, Span{About: "shed", Reading: "temp", From: m.From, To: m.To.Add(time.Hour), Points: 10})
	if err != nil || len(drawn.Points) != 0 {
		t.Fatalf("the original is still there: %v %v", drawn, err)
	}
	got, there, err := s.OpenMoment(t.Context(), m.Hash, [32]byte{9}, *now, now.Add(time.Hour))
	if err != nil || !there || string(got.Data) != string(m.Data) {
		t.Errorf("the moment shows %q (%v, %v)", got.Data, there, err)
	}
}

func TestAMomentIsShownToWhoOpenedIt(t *testing.T) {
	s, now := momentStore(t, Config{})
	ctx := t.Context()
	one, other := momentOf(1, "a:b:shed", *now), momentOf(2, "a:b:shed", *now)
	one.Until = now.Add(2 * time.Hour)
	for _, m := range []Moment{one, other} {
		if err := s.AddMoment(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	visit := [32]byte{7}
	if _, there, err := s.OpenMoment(ctx, [32]byte{200}, visit, *now, now.Add(time.Hour)); there || err != nil {
		t.Errorf("a wrong code opens something: %v", err)
	}
	if _, there, err := s.OpenMoment(ctx, one.Hash, visit, *now, now.Add(30*24*time.Hour)); !there || err != nil {
		t.Fatalf("%v %v", there, err)
	}
	sees := func(id string, visit [32]byte) bool {
		_, there, err := s.VisitedMoment(ctx, id, visit, *now)
		if err != nil {
			t.Fatal(err)
		}
		return there
	}
	if !sees(one.ID, visit) || sees(other.ID, visit) || sees(one.ID, [32]byte{8}) {
		t.Error("a visit shows another moment, or not its own")
	}
	*now = now.Add(3 * time.Hour)
	m, there, err := s.OpenMoment(ctx, one.Hash, [32]byte{9}, *now, now.Add(time.Hour))
	if err != nil || !there || !m.Over(*now).Equal(one.Until) || sees(one.ID, [32]byte{9}) {
		t.Errorf("one that has ended: %+v, %v, %v", m, there, err)
	}
	if err := s.sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if m, there, err := s.VisitedMoment(ctx, one.ID, visit, *now); err != nil || !there || len(m.Data) != 0 || m.Opened != 1 {
		t.Errorf("when it is over: %+v, %v, %v", m, there, err)
	}
	*now = now.Add(rememberOver + time.Hour)
	if err := s.sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if _, there, err := s.OpenMoment(ctx, one.Hash, [32]byte{10}, *now, now.Add(time.Hour)); there || err != nil {
		t.Errorf("it is remembered for ever: %v", err)
	}
	if all, err := s.Moments(ctx, "a:b:shed", "shed", "temp"); err != nil || len(all) != 1 || all[0].ID != other.ID {
		t.Errorf("left are %+v, %v", all, err)
	}
}

func TestMomentsAreOfTheirBoard(t *testing.T) {
	s, now := momentStore(t, Config{})
	ctx := t.Context()
	for n, board := range []string{"a:b:shed", "a:b:shed2", "a:b:", "a:bb:shed"} {
		if err := s.AddMoment(ctx, momentOf(n, board, *now)); err != nil {
			t.Fatal(err)
		}
	}
	for board, want := range map[string]int{"a:b:shed": 1, "a:b:she": 0, "a:b:": 3, "a:": 4, "a:bb:": 1} {
		if all, err := s.Moments(ctx, board, "shed", "temp"); err != nil || len(all) != want {
			t.Errorf("%s sees %d, want %d (%v)", board, len(all), want, err)
		}
	}
	if all, _ := s.Moments(ctx, "a:b:", "shed", "hum"); len(all) != 0 {
		t.Error("those of another value are among them")
	}
	for _, board := range []string{"a:b:shed2", "a:bb:", "a:bb:shed"} {
		if done, err := s.WithdrawMoment(ctx, board, "m0", *now); done || err != nil {
			t.Errorf("%s withdraws what is not its own (%v)", board, err)
		}
	}
	if done, err := s.WithdrawMoment(ctx, "a:b:", "m0", *now); !done || err != nil {
		t.Errorf("the operator cannot withdraw: %v", err)
	}
	if done, _ := s.WithdrawMoment(ctx, "a:b:shed", "m0", *now); done {
		t.Error("it is withdrawn twice")
	}
	m, there, err := s.OpenMoment(ctx, momentOf(0, "", *now).Hash, [32]byte{1}, *now, now.Add(time.Hour))
	if err != nil || !there || m.Withdrawn.IsZero() || len(m.Data) != 0 {
		t.Errorf("what was withdrawn: %+v, %v, %v", m, there, err)
	}
}

func TestMomentsAreBounded(t *testing.T) {
	s, now := momentStore(t, Config{})
	ctx := t.Context()
	long := momentOf(0, "a:b:shed", *now)
	long.Data = make([]byte, maxMomentBytes+1)
	if err := s.AddMoment(ctx, long); !errors.Is(err, ErrMomentLong) {
		t.Errorf("a long one: %v", err)
	}
	n := 0
	add := func(board string) error {
		n++
		return s.AddMoment(context.WithoutCancel(ctx), momentOf(n, board, *now))
	}
	for range MaxMoments {
		if err := add("a:b:shed"); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("a:b:shed"); !errors.Is(err, ErrMomentsFull) {
		t.Errorf("one too many of a board: %v", err)
	}
	if done, err := s.WithdrawMoment(ctx, "a:b:shed", "m1", *now); !done || err != nil {
		t.Fatal(err)
	}
	if err := add("a:b:shed"); err != nil {
		t.Errorf("one was withdrawn: %v", err)
	}
	for i := range maxAllMoments - MaxMoments {
		if err := add(fmt.Sprint("a:b:other", i/MaxMoments)); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := add("a:b:last"); !errors.Is(err, ErrMomentsCrowded) {
		t.Errorf("one too many of all: %v", err)
	}
	for v := range maxVisits + 10 {
		*now = now.Add(time.Second)
		if _, there, err := s.OpenMoment(ctx, momentOf(2, "", *now).Hash, [32]byte{byte(v), byte(v >> 8), 3}, *now, now.Add(time.Hour)); !there || err != nil {
			t.Fatal(there, err)
		}
	}
	var visits int
	if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM visits`).Scan(&visits); err != nil || visits != maxVisits {
		t.Errorf("%d visits are kept (%v)", visits, err)
	}
}

// Whoever guesses does not hold up those who record: while somebody else writes, a wrong code is answered all the same.
func TestAWrongCodeWritesNothing(t *testing.T) {
	s, now := momentStore(t, Config{})
	over := momentOf(1, "a:b:shed", *now)
	over.Until = now.Add(-time.Minute)
	if err := s.AddMoment(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	writer, err := s.write.db.BeginTx(t.Context(), nil) // there is one connection that writes
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Rollback() }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // far longer than a read takes
	defer cancel()
	if _, there, err := s.OpenMoment(ctx, [32]byte{200}, [32]byte{1}, *now, now.Add(time.Hour)); there || err != nil {
		t.Errorf("a moment's code: %v, %v", there, err)
	}
	if m, there, err := s.OpenMoment(ctx, over.Hash, [32]byte{1}, *now, now.Add(time.Hour)); !there || err != nil || m.ID != over.ID {
		t.Errorf("of one that is over: %+v, %v, %v", m, there, err)
	}
	if good, err := s.TakeCode(ctx, [32]byte{200}); good || err != nil {
		t.Errorf("a code to sign in: %v, %v", good, err)
	}
}
