package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Extreme is a number beyond all that its reading was in the week before.
type Extreme struct {
	About, Reading string
	At             time.Time // when it was so, or the minute
	Value          float64
	High           bool    // beyond the highest; else beyond the lowest
	Low, Most      float64 // between which it was in that week
}

const (
	usualWeek  = 7 * 24 * time.Hour
	usualHours = 24   // in which a reading came in that week, at least, or nothing is known to be usual
	beyond     = 0.1  // of what it usually spans, further out; less is noise
	oneWay     = 0.95 // of all hours in which a counter goes on in the same direction
)

// Extremes gives the highest and the lowest of what numbers were from from on and before to, where that is beyond the week before. What only ever
// counts up or down is left out.
func (s *Store) Extremes(ctx context.Context, wanted func(topic string) bool, from, to time.Time) (found []Extreme, err error) {
	err = s.looking(ctx, func(tx *sql.Tx) error {
		week := stamp(from.Truncate(time.Hour))
		dated := newDating(tx)
		known, _, err := readingsThat(ctx, tx, wanted, `EXISTS (SELECT 1 FROM hours AS h WHERE h.series = s.id AND h.at >= ?2 AND h.at < ?3)`, week, stamp(to))
		if err != nil {
			return err
		}
		for _, one := range known {
			more, err := extremesOf(ctx, tx, one, week, stamp(from), stamp(to))
			if err != nil {
				return err
			}
			for i := range more {
				if len(found)+i < maxExact {
					if err := more[i].exactly(ctx, dated, one); err != nil {
						return err
					}
				}
			}
			found = append(found, more...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what was unusual: %w", err)
	}
	slices.SortStableFunc(found, func(a, b Extreme) int { return b.At.Compare(a.At) })
	return found, nil
}

func extremesOf(ctx context.Context, tx *sql.Tx, one toldReading, week, from, to int64) (found []Extreme, err error) {
	hours, err := sumsOf(ctx, tx, one.series, `SELECT at, low, high FROM hours WHERE series = ?1 AND at >= ?2 AND at < ?3 ORDER BY at`, week-usualWeek.Microseconds(), to)
	if err != nil {
		return nil, err
	}
	n, _ := slices.BinarySearchFunc(hours, week, func(h hourSums, at int64) int { return cmp.Compare(h.at, at) })
	if n < usualHours || counter(hours) {
		return nil, nil
	}
	was := spanOf(hours[:n])
	margin := beyond * (was.high - was.low)
	now, any, err := within(ctx, tx, one.series, from, to)
	if err != nil || !any {
		return nil, err
	}
	for _, e := range []Extreme{{Value: now.high, High: true}, {Value: now.low}} {
		if e.High && e.Value <= was.high+margin || !e.High && e.Value >= was.low-margin {
			continue
		}
		at, err := minuteAt(ctx, tx, one.series, from, to, e)
		if err != nil {
			return nil, err
		}
		if at > 0 {
			e.About, e.Reading, e.At, e.Low, e.Most = one.about, one.reading, fromStamp(at), was.low, was.high
			found = append(found, e)
		}
	}
	return found, nil
}

// hourSums is what an hour was between.
type hourSums struct {
	at        int64
	low, high float64
}

func scanSums(scan func(...any) error) (h hourSums, err error) {
	return h, scan(&h.at, &h.low, &h.high)
}

func spanOf(hours []hourSums) hourSums {
	all := hours[0]
	for _, h := range hours {
		all.low, all.high = min(all.low, h.low), max(all.high, h.high)
	}
	return all
}

// counter says whether a reading goes one way only, as a meter does, so that each of its values is the highest so far.
func counter(hours []hourSums) bool {
	up, down, moved := 0, 0, 0
	for i := 1; i < len(hours); i++ {
		a, b := hours[i-1], hours[i]
		if a == (hourSums{a.at, b.low, b.high}) {
			continue
		}
		moved++
		if b.low >= a.high {
			up++
		}
		if b.high <= a.low {
			down++
		}
	}
	return moved > 1 && float64(max(up, down)) >= oneWay*float64(moved)
}

// sumsOf puts together what is known of one reading by several series, by time. The query's first argument is the series.
func sumsOf(ctx context.Context, tx *sql.Tx, series []int64, query string, args ...any) (all []hourSums, err error) {
	for _, id := range series {
		more, err := scanAll(ctx, tx, scanSums, query, append([]any{id}, args...)...)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	if len(series) < 2 {
		return all, nil
	}
	slices.SortStableFunc(all, func(a, b hourSums) int { return cmp.Compare(a.at, b.at) })
	n := 0
	for i, h := range all {
		if i > 0 && h.at == all[n-1].at {
			all[n-1].low, all[n-1].high = min(all[n-1].low, h.low), max(all[n-1].high, h.high)
			continue
		}
		all[n] = h
		n++
	}
	return all[:n], nil
}

// within sums up whole hours as such, and what is left at both ends by minutes. Any says that there is something.
func within(ctx context.Context, tx *sql.Tx, series []int64, from, to int64) (all hourSums, any bool, err error) {
	hour := time.Hour.Microseconds()
	first, last := from+(hour-from%hour)%hour, to-to%hour
	if first > last {
		first, last = to, to
	}
	for _, id := range series {
		var low, high sql.NullFloat64
		err = tx.QueryRowContext(ctx, `SELECT min(low), max(high) FROM (
				SELECT low, high FROM minutes WHERE series = ?1 AND at >= ?2 AND at < ?3
				UNION ALL SELECT low, high FROM hours WHERE series = ?1 AND at >= ?3 AND at < ?4
				UNION ALL SELECT low, high FROM minutes WHERE series = ?1 AND at >= ?4 AND at < ?5)`,
			id, from, first, last, to).Scan(&low, &high)
		switch {
		case err != nil:
			return all, false, err
		case !low.Valid:
			continue
		case !any:
			all, any = hourSums{low: low.Float64, high: high.Float64}, true
		default:
			all.low, all.high = min(all.low, low.Float64), max(all.high, high.Float64)
		}
	}
	return all, any, nil
}

// minuteAt finds when that was first; 0 where the minutes are not kept any more.
func minuteAt(ctx context.Context, tx *sql.Tx, series []int64, from, to int64, e Extreme) (first int64, err error) {
	query := `SELECT at FROM minutes WHERE series = ? AND at >= ? AND at < ? AND low = ? ORDER BY at LIMIT 1`
	if e.High {
		query = `SELECT at FROM minutes WHERE series = ? AND at >= ? AND at < ? AND high = ? ORDER BY at LIMIT 1`
	}
	for _, id := range series {
		var at int64
		err = tx.QueryRowContext(ctx, query, id, from, to, e.Value).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if first == 0 || at < first {
			first = at
		}
	}
	return first, nil
}
