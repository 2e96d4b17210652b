package history

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// Limit is between what somebody wants a reading to be; nil: no limit.
type Limit struct {
	About, Reading string
	Low, High      *float64
}

// Passed is a time in which a reading was beyond one of its limits.
type Passed struct {
	About, Reading string
	High           bool // above the higher; else below the lower
	From           time.Time
	To             time.Time // zero: nothing else was heard before the end
	Value          float64   // furthest out
}

const (
	maxLimits    = 200            // readings with limits that are looked at in one answer
	maxLimitSums = 200_000        // and minutes and hours of all of them
	maxPassed    = 500            // times that are told
	passedBefore = 24 * time.Hour // that it may have been so already, to know since when
)

// Passed gives the times from from on and before to in which readings were beyond their limits, by the messages and the minutes that are kept, and by
// the hours where they are not any more; more says that not all was looked at. Until something else is heard, a reading is what it was.
func (s *Store) Passed(ctx context.Context, wanted func(topic string) bool, of []Limit, from, to time.Time) (found []Passed, more bool, err error) {
	if len(of) > maxLimits {
		of, more = of[:maxLimits], true
	}
	if len(of) == 0 {
		return nil, false, nil
	}
	limits := map[[2]string]Limit{}
	for _, l := range of {
		limits[[2]string{l.About, l.Reading}] = l
	}
	var runs []run
	left := maxLimitSums
	err = s.looking(ctx, func(tx *sql.Tx) error {
		known, cut, err := readingsThat(ctx, tx, wanted, `EXISTS (SELECT 1 FROM hours AS h WHERE h.series = s.id AND h.at >= ?2 AND h.at < ?3)`,
			stamp(from.Truncate(time.Hour)), stamp(to))
		if err != nil {
			return err
		}
		more = more || cut
		for _, one := range known {
			limit, has := limits[[2]string{one.about, one.reading}]
			if !has {
				continue
			}
			for _, side := range limit.sides() {
				sums, err := beyondSums(ctx, tx, one.series, side, from, to, left)
				if err != nil {
					return err
				}
				left -= len(sums)
				for _, r := range side.runs(sums) {
					if left <= 0 && r.To.IsZero() {
						break // what came then was not read: it need not last
					}
					if r.To.IsZero() || r.To.After(from) {
						r.About, r.Reading, r.of = one.about, one.reading, one
						runs = append(runs, r)
					}
				}
			}
		}
		found, err = told(ctx, tx, runs, from, to)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("read what was beyond its limits: %w", err)
	}
	more = more || left <= 0 || len(found) > maxPassed
	return found[:min(len(found), maxPassed)], more, nil
}

// told says of the newest runs when exactly they were, and leaves out what was over before from.
func told(ctx context.Context, tx *sql.Tx, runs []run, from, to time.Time) (found []Passed, err error) {
	newest := func(a, b Passed) int { return b.From.Compare(a.From) }
	slices.SortStableFunc(runs, func(a, b run) int { return newest(a.Passed, b.Passed) })
	dated := newDating(tx)
	for i, r := range runs {
		any := true
		if i < maxExact {
			if any, err = r.exactly(ctx, dated, to); err != nil {
				return nil, err
			}
		}
		if any && (r.To.IsZero() || r.To.After(from)) {
			found = append(found, r.Passed)
		}
	}
	slices.SortStableFunc(found, newest)
	return found, nil
}

// run is a time beyond a limit, with what it takes to look closer.
type run struct {
	Passed
	of   toldReading
	side limitSide
	last time.Time // the last minute, or hour, in which it was so
}

// limitSide is one of the two limits of a reading.
type limitSide struct {
	at   float64
	high bool
}

func (l Limit) sides() (all []limitSide) {
	if l.High != nil {
		all = append(all, limitSide{*l.High, true})
	}
	if l.Low != nil {
		all = append(all, limitSide{*l.Low, false})
	}
	return all
}

// beyond says how far out a minute or an hour was, and whether that is beyond the limit.
func (l limitSide) beyond(h hourSums) (float64, bool) {
	if l.high {
		return h.high, h.high > l.at
	}
	return h.low, h.low < l.at
}

// beyondSums are the minutes and hours of a reading since a day before, at most so many; none where nothing was beyond the limit.
func beyondSums(ctx context.Context, tx *sql.Tx, series []int64, side limitSide, from, to time.Time, most int) ([]hourSums, error) {
	edge := "low < ?"
	if side.high {
		edge = "high > ?"
	}
	first, any := stamp(from.Truncate(time.Hour)), false
	for _, id := range series {
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM hours WHERE series = ? AND at >= ? AND at < ? AND `+edge+`)`,
			id, first-passedBefore.Microseconds(), stamp(to), side.at).Scan(&any)
		if err != nil {
			return nil, err
		}
		if any {
			break
		}
	}
	if !any {
		return nil, nil
	}
	sums, err := sumsOf(ctx, tx, series, `SELECT at, low, high FROM minutes WHERE series = ?1 AND at >= ?2 AND at < ?3
		UNION ALL SELECT at, low, high FROM hours AS h WHERE series = ?1 AND at >= ?2 AND at < ?3
			AND NOT EXISTS (SELECT 1 FROM minutes AS m WHERE m.series = ?1 AND m.at >= h.at AND m.at < h.at + ?4)
		ORDER BY at LIMIT ?5`, first-passedBefore.Microseconds(), stamp(to), time.Hour.Microseconds(), max(most, 0))
	return sums[:min(len(sums), max(most, 0))], err
}

// runs puts together what was beyond the limit in a row.
func (l limitSide) runs(sums []hourSums) (all []run) {
	on := false
	for _, h := range sums {
		value, beyond := l.beyond(h)
		switch {
		case beyond && !on:
			at := fromStamp(h.at)
			all = append(all, run{Passed: Passed{High: l.high, From: at, Value: value}, side: l, last: at})
		case beyond:
			last := &all[len(all)-1]
			last.last = fromStamp(h.at)
			if l.high {
				last.Value = max(last.Value, value)
			} else {
				last.Value = min(last.Value, value)
			}
		case on:
			all[len(all)-1].To = fromStamp(h.at)
		}
		on = beyond
	}
	return all
}
