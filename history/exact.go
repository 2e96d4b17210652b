package history

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"trellis/message"
)

// What is known by the minute is told in the order in which it was so: for that, the messages of a minute say when in it that was.

const (
	maxExact    = 100             // times that are dated for one answer, the newest first
	exactLook   = 2000            // messages of one topic in one minute
	exactLooks  = 20_000          // messages in all of them: a third of a second
	mostDelayed = 5 * time.Second // that a message may have been under way and still be found
)

// dating looks for moments within one answer, until it has read as much as one may cost.
type dating struct {
	tx   *sql.Tx
	left int // messages
}

func newDating(tx *sql.Tx) *dating { return &dating{tx: tx, left: exactLooks} }

// moment is one number of a reading.
type moment struct {
	at    time.Time
	value float64
}

// momentsIn gives the numbers of a reading in the minute that begins at at, oldest first; none where not all of that minute is kept or read.
func (d *dating) momentsIn(ctx context.Context, one toldReading, at time.Time) (all []moment, err error) {
	tx, look := d.tx, exactLook
	end := at.Add(time.Minute)
	first, last, err := between(ctx, tx, PageOf{From: at, To: end.Add(mostDelayed)})
	if err != nil {
		return nil, err
	}
	for _, id := range one.series {
		if look = min(look, d.left); look == 0 {
			return nil, nil
		}
		topic, err := column[string](ctx, tx, `SELECT topic FROM series WHERE id = ?`, id)
		if err != nil {
			return nil, err
		}
		kept, err := wholeFrom(ctx, tx, topic[0])
		if err != nil {
			return nil, err
		}
		if kept > first {
			return nil, nil
		}
		found, err := scanAll(ctx, tx, func(scan func(...any) error) (m message.Message, err error) {
			var received int64
			err = scan(&received, &m.Topic, &m.Source, &m.About, &m.Payload)
			m.Received = fromStamp(received)
			return m, err
		}, `SELECT received, topic, source, about, payload FROM messages WHERE topic = ? AND id BETWEEN ? AND ? ORDER BY id LIMIT ?`,
			topic[0], first, last, look)
		d.left -= len(found)
		if err != nil || len(found) == look {
			return nil, err
		}
		for _, m := range found {
			if m.About == one.about && !message.ByHand(m.Source, m.Payload) {
				all = append(all, numbersOf(m, one.reading, at, end)...)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	return all, nil
}

func numbersOf(m message.Message, name string, from, to time.Time) (all []moment) {
	at, found, broke := carefully(func() (time.Time, []message.Reading) { return delivered(m.Payload, m.Received) })
	if broke != nil || at.Before(from) || !at.Before(to) {
		return nil
	}
	for _, r := range found {
		if v, number := r.Value.(float64); number && r.Name == name {
			all = append(all, moment{at, v})
		}
	}
	return all
}

// exactly says when within its minutes a run began and ended, where their messages are kept. It may have ended in the last minute in which it was
// beyond the limit: what came back at once is not said to last. Any is false where it began only after to.
func (r *run) exactly(ctx context.Context, d *dating, to time.Time) (any bool, err error) {
	begun, err := d.momentsIn(ctx, r.of, r.From)
	if err != nil {
		return false, err
	}
	if i := slices.IndexFunc(begun, r.side.beyondAt); i >= 0 {
		r.From = begun[i].at
	}
	ending := begun
	if r.last.After(r.From) {
		if ending, err = d.momentsIn(ctx, r.of, r.last); err != nil {
			return false, err
		}
	}
	back := 0 // behind the last that was beyond the limit
	for i, m := range ending {
		if r.side.beyondAt(m) {
			back = i + 1
		}
	}
	if back > 0 && back < len(ending) {
		r.To = ending[back].at
	} else if !r.To.IsZero() {
		after, err := d.momentsIn(ctx, r.of, r.To)
		if err != nil {
			return false, err
		}
		if len(after) > 0 {
			r.To = after[0].at
		}
	}
	if r.To.After(to) {
		r.To = time.Time{} // at the end of the time it was still so
	}
	return !r.From.After(to), nil
}

func (l limitSide) beyondAt(m moment) bool {
	_, beyond := l.beyond(hourSums{low: m.value, high: m.value})
	return beyond
}

// exactly says when within its minute it was so.
func (e *Extreme) exactly(ctx context.Context, d *dating, of toldReading) error {
	all, err := d.momentsIn(ctx, of, e.At)
	if i := slices.IndexFunc(all, func(m moment) bool { return m.value == e.Value }); i >= 0 {
		e.At = all[i].at
	}
	return err
}
