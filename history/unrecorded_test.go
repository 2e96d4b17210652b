package history

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatWasNotRecordedIsCountedByTopicAndMinute(t *testing.T) {
	ctx := context.Background()
	s := openStore(t, t.TempDir(), Config{Keep: time.Hour})
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	for _, all := range [][]Unrecorded{
		{{"a", at(5), at(10), 3}, {"b", at(6), at(6), 1}},
		{{"a", at(20), at(30), 4}, {"a", at(65), at(70), 2}},
	} {
		if err := s.NoteUnrecorded(ctx, all); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(wanted func(string) bool, from, to time.Time) []Unrecorded {
		t.Helper()
		found, err := s.Unrecorded(ctx, wanted, from, to)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	onlyA := func(topic string) bool { return topic == "a" }
	if diff := cmp.Diff([]Unrecorded{{"a", at(5), at(30), 7}, {"a", at(65), at(70), 2}}, ask(onlyA, at(0), at(600))); diff != "" {
		t.Errorf("of a (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Unrecorded{{"a", at(65), at(70), 2}}, ask(nil, at(40), at(600))); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
	s.clock = func() time.Time { return at(0).Add(2 * time.Hour) }
	if err := s.sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if found := ask(nil, at(0), at(600)); len(found) > 0 {
		t.Errorf("kept longer than what is recorded: %v", found)
	}
}

// On a full disk it is noted hours later, all at once.
func TestWhatWasNotedLateIsFoundWhereItBegan(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	late := Unrecorded{"a", noon.Add(2 * time.Hour), noon.Add(4 * time.Hour), 30}
	if err := s.NoteUnrecorded(context.Background(), []Unrecorded{late}); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[int]int{0: 0, 1: 0, 2: 1, 3: 1, 4: 1, 5: 0} {
		found, err := s.Unrecorded(context.Background(), nil, noon.Add(time.Duration(from)*time.Hour), noon.Add(time.Duration(from+1)*time.Hour))
		if err != nil || len(found) != want {
			t.Errorf("from %d h on: %v %v", from, found, err)
		}
	}
}

func TestNotesOfWhatWasNotRecordedAreBounded(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for minute := range 12 {
		all := make([]Unrecorded, 1000)
		for i := range all {
			at := noon.Add(time.Duration(minute) * time.Minute)
			all[i] = Unrecorded{fmt.Sprint("made up ", i), at, at, 1}
		}
		if err := s.NoteUnrecorded(context.Background(), all); err != nil {
			t.Fatal(err)
		}
	}
	found, err := s.Unrecorded(context.Background(), nil, noon, noon.Add(time.Hour))
	if err != nil || len(found) != keptUnrecorded || !found[0].First.Equal(noon.Add(2*time.Minute)) {
		t.Errorf("%d are kept, the oldest of %v (%v)", len(found), found[0].First, err)
	}
}

// A full disk may have lost what came at QoS 0, however short it was.
func TestAGapOfAFullDiskIsNeverTooShort(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for _, reason := range []string{GapFull, GapFailing} {
		if err := s.BeginGap(context.Background(), "", reason, noon); err != nil {
			t.Fatal(err)
		}
		if err := s.EndGap(context.Background(), "", reason, noon.Add(2*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]Gap{{"", GapFull, noon, noon.Add(2 * time.Second)}}, gapsOf(t, s, "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
