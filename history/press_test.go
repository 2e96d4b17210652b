package history

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func aPress(s *Store, board, id string) Press {
	now := s.clock()
	return Press{Board: board, ID: id, Button: "b", Who: "shed", Label: "Do it", Entity: "shed", Pressed: now, Due: now, State: PressTrying}
}

func TestAPressIsKeptOnce(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	var firsts atomic.Int32
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			_, first, err := s.BeginPress(t.Context(), aPress(s, "home", "one"))
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	all.Wait()
	if firsts.Load() != 1 {
		t.Errorf("%d of 12 were the first", firsts.Load())
	}
	if _, first, err := s.BeginPress(t.Context(), aPress(s, "barn", "one")); err != nil || !first {
		t.Errorf("another board cannot use the id: %v %v", first, err)
	}
}

func TestOnlyOneStepFromAStateSucceeds(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	p := aPress(s, "home", "one")
	p.State = PressWaiting
	if _, _, err := s.BeginPress(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	var moved atomic.Int32
	var both sync.WaitGroup
	for _, to := range []PressState{PressTrying, PressUndone} {
		both.Go(func() {
			if ok, err := s.MovePress(t.Context(), p, PressWaiting, to); err != nil {
				t.Error(err)
			} else if ok {
				moved.Add(1)
			}
		})
	}
	both.Wait()
	if moved.Load() != 1 {
		t.Errorf("%d of an undoing and a sending succeeded", moved.Load())
	}
}

func TestWhatWasUnderWayEndsWithTheRun(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[PressState]PressState{PressWaiting: PressNotSent, PressTrying: PressNotSent, PressHanded: PressUnsure, PressAccepted: PressAccepted,
		PressAnswered: PressAnswered, PressUndone: PressUndone}
	for state := range want {
		p := aPress(s, "home", fmt.Sprint(int(state)))
		if _, _, err := s.BeginPress(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if _, err := s.MovePress(t.Context(), p, PressTrying, state); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, Config{})
	if err := s.EndPresses(t.Context()); err != nil {
		t.Fatal(err)
	}
	for was, now := range want {
		p, there, err := s.FindPress(t.Context(), "home", fmt.Sprint(int(was)))
		if err != nil || !there || p.State != now {
			t.Errorf("%d became %d, not %d (%v %v)", was, p.State, now, there, err)
		}
	}
	if found, err := s.AwaitedPresses(t.Context(), s.clock().Add(-time.Hour), 10); err != nil || len(found) != 2 {
		t.Errorf("%d presses still wait for an answer, and not the accepted and the unsure one: %v", len(found), err)
	}
}

func TestAButtonIsPressedAsOftenAsItMayBe(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	now := time.Now()
	s.clock = func() time.Time { return now }
	press := func(id string) error {
		p := aPress(s, "home", id)
		p.Most, p.Per = 2, time.Hour
		_, _, err := s.BeginPress(t.Context(), p)
		return err
	}
	if err := errors.Join(press("a"), press("b")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(20 * time.Minute)
	var often TooOftenError
	if err := press("c"); !errors.As(err, &often) || often.After.Round(time.Second) != 40*time.Minute {
		t.Errorf("the third: %v", err)
	}
	if _, err := s.MovePress(t.Context(), aPress(s, "home", "b"), PressTrying, PressUndone); err != nil {
		t.Fatal(err)
	}
	if err := press("d"); err != nil {
		t.Errorf("what was undone counts: %v", err)
	}
	now = now.Add(41 * time.Minute)
	if err := press("e"); err != nil {
		t.Errorf("what is an hour old counts: %v", err)
	}
}

func TestTheLogOfABoardIsBounded(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{Keep: time.Hour})
	const before, inADay = 5, 12
	s.pressed = pressLimits{before, inADay}
	now := time.Now().Truncate(time.Second)
	s.clock = func() time.Time { return now }
	begin := func(n int) error {
		p := aPress(s, "home", fmt.Sprint(n))
		p.State, p.Pressed = PressNotSent, now
		_, _, err := s.BeginPress(t.Context(), p)
		return err
	}
	for n := range inADay {
		if err := begin(n); err != nil {
			t.Fatal(err)
		}
	}
	var often TooOftenError
	if err := begin(inADay); !errors.As(err, &often) || often.After != pressDay {
		t.Fatalf("one more than in a day: %v", err)
	}
	if _, first, err := s.BeginPress(t.Context(), aPress(s, "home", "0")); err != nil || first {
		t.Errorf("the first of the day was forgotten: %v", err)
	}
	now = now.Add(pressDay)
	if err := begin(inADay); err != nil {
		t.Fatal(err)
	}
	all, err := s.Presses(t.Context(), "home", 2*inADay)
	if err != nil || len(all) != before+1 || all[0].ID != fmt.Sprint(inADay) {
		t.Fatalf("%d presses, %v", len(all), err)
	}
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, _ := s.Presses(t.Context(), "home", 10); len(all) != 1 {
		t.Errorf("%d presses are kept for longer than a day and than messages are, want the newest", len(all))
	}
}

func TestButtonsKeepTheirOrderAndTheirBoard(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	labels := func() (got string) {
		all, err := s.Buttons(t.Context(), "home")
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range all {
			got += b.Label
		}
		return got
	}
	if err := s.AddButtons(t.Context(), "home", Button{ID: "1", Label: "a"}, Button{ID: "2", Label: "b"}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddButtons(t.Context(), "home", Button{ID: "3", Label: "c", Number: &Number{Min: 1, Max: 2}}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		id   string
		up   bool
		want string
	}{{"3", true, "acb"}, {"3", true, "cab"}, {"3", true, "cab"}, {"1", false, "cba"}, {"1", false, "cba"}} {
		if err := s.MoveButton(t.Context(), "home", step.id, step.up); err != nil {
			t.Fatal(err)
		}
		if got := labels(); got != step.want {
			t.Errorf("after moving %s it is %s, not %s", step.id, got, step.want)
		}
	}
	change := Button{ID: "1", Version: 1, Label: "x"}
	if err := errors.Join(s.ChangeButton(t.Context(), "home", change), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.ChangeButton(t.Context(), "home", change); !errors.Is(err, ErrButtonChanged) {
		t.Errorf("an older version is changed: %v", err)
	}
	for _, do := range []func() error{
		func() error { return s.ChangeButton(t.Context(), "barn", Button{ID: "2", Version: 1}) },
		func() error { return s.MoveButton(t.Context(), "barn", "2", true) },
		func() error { return s.DropButton(t.Context(), "barn", "2") },
		func() error { _, err := s.FindButton(t.Context(), "barn", "2"); return err },
	} {
		if err := do(); !errors.Is(err, ErrButtonUnknown) {
			t.Errorf("another board's button: %v", err)
		}
	}
	if err := s.DropButton(t.Context(), "home", "2"); err != nil || labels() != "cx" {
		t.Errorf("%v, %s", err, labels())
	}
	if b, err := s.FindButton(t.Context(), "home", "3"); err != nil || b.Number == nil || b.Number.Max != 2 {
		t.Errorf("%+v %v", b, err)
	}
}

func TestABoardHoldsSoManyButtons(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for i := range MaxButtons {
		if err := s.AddButtons(t.Context(), "home", Button{ID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddButtons(t.Context(), "home", Button{ID: "more"}); !errors.Is(err, ErrButtonsFull) {
		t.Errorf("one more: %v", err)
	}
	if err := s.AddButtons(t.Context(), "barn", Button{ID: "other"}); err != nil {
		t.Errorf("another board: %v", err)
	}
}
