package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"trellis/access"
	"trellis/history"
)

const (
	tallyTopics = 500 // that are counted by name; what comes on others is counted together, and shown to nobody
	tallyEvery  = 2 * time.Second
	tallyShown  = 24 * time.Hour // so long people are told, and until the hour is over
	tallyHours  = 25
)

// tally counts messages that were not recorded, by their topics: everybody is told only of what they may hear.
type tally struct {
	mu        sync.Mutex
	fresh     lost // since people were told last
	unwritten lost // that the record does not know yet
	told      lost // in the last day, by whole hours
	flushed   time.Time
}

// lost counts by topic and hour, of each topic the oldest hour first.
type lost map[string][]history.Unrecorded

func newTally() *tally { return &tally{fresh: lost{}, unwritten: lost{}, told: lost{}} }

// note counts one.
func (t *tally) note(topic string) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fresh.add(history.Unrecorded{Topic: topic, First: now, Last: now, N: 1})
}

func hourOf(u history.Unrecorded) time.Time { return u.Last.Truncate(time.Hour) }

func (l lost) add(more history.Unrecorded) {
	if _, known := l[more.Topic]; !known && len(l) >= tallyTopics {
		more.Topic = ""
	}
	hours := l[more.Topic]
	at := len(hours)
	for at > 0 && hourOf(hours[at-1]).After(hourOf(more)) {
		at--
	}
	if at > 0 && hourOf(hours[at-1]).Equal(hourOf(more)) {
		hours[at-1] = joined(hours[at-1], more)
	} else {
		hours = slices.Insert(hours, at, more)
	}
	if len(hours) > tallyHours { // what cannot be written for days
		hours[1] = joined(hours[0], hours[1])
		hours = hours[1:]
	}
	l[more.Topic] = hours
}

func joined(a, b history.Unrecorded) history.Unrecorded {
	if b.First.Before(a.First) {
		a.First = b.First
	}
	if b.Last.After(a.Last) {
		a.Last = b.Last
	}
	a.N += b.N
	return a
}

// forget drops the hours that were over at that time.
func (l lost) forget(before time.Time) {
	for topic, hours := range l {
		hours = slices.DeleteFunc(hours, func(u history.Unrecorded) bool { return !hourOf(u).Add(time.Hour).After(before) })
		if l[topic] = hours; len(hours) == 0 {
			delete(l, topic)
		}
	}
}

func (l lost) all() (all []history.Unrecorded) {
	for _, hours := range l {
		all = append(all, hours...)
	}
	return all
}

// remember takes what the last runs have written down.
func (t *tally) remember(ctx context.Context, store *history.Store) error {
	now := time.Now()
	found, err := store.Unrecorded(ctx, nil, now.Add(-tallyShown).Truncate(time.Hour), now)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range found {
		t.told.add(u)
	}
	return nil
}

// flush tells people what is new, and writes it down; what cannot be written waits.
func (t *tally) flush(ctx context.Context, store *history.Store) {
	all := t.tell(time.Now())
	if len(all) == 0 || store.NoteUnrecorded(ctx, all) != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.unwritten) // nobody else adds to it
}

// tell shows what is fresh, once in a while, and gives what is to be written.
func (t *tally) tell(now time.Time) (unwritten []history.Unrecorded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.flushed) < tallyEvery {
		return nil
	}
	t.flushed = now
	t.told.forget(now.Add(-tallyShown))
	for _, u := range t.fresh.all() {
		t.told.add(u)
		t.unwritten.add(u)
	}
	clear(t.fresh)
	return t.unwritten.all()
}

// hurry has the next flush come at once: it is the last.
func (t *tally) hurry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flushed = time.Time{}
}

// of sums up what somebody may hear.
func (t *tally) of(g access.Grant) (n uint64, first, last time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for topic, hours := range t.told {
		if !g.MayReceive(topic) {
			continue
		}
		for _, u := range hours {
			if n == 0 || u.First.Before(first) {
				first = u.First
			}
			if u.Last.After(last) {
				last = u.Last
			}
			n += uint64(u.N)
		}
	}
	return n, first, last
}
