package history

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Span asks for one reading over time. All fields are required.
type Span struct {
	About, Reading string
	From, To       time.Time
	Points         int // at most so many; at least 1
}

// Point is what was measured from At on, until the next one at the most.
type Point struct {
	At              time.Time
	Low, High, Mean float64
	N               int64 // how many numbers that was
}

// Change is a word or a truth value, and since when it is so.
type Change struct {
	At    time.Time
	Value any // string or bool
}

// Drawn is a reading over time. Most have either points or changes.
type Drawn struct {
	Every   time.Duration // that the points are apart, at least
	Points  []Point       // oldest first
	Changes []Change      // oldest first; the first one may be from before the span
	More    bool          // there were too many changes: the earlier ones are left out
}

// maxChanges bounds what one answer holds.
const maxChanges = 2000

// Range sums a reading up, in steps of whole minutes. What topics it came on is told by wanted; nil accepts all.
func (s *Store) Range(ctx context.Context, wanted func(topic string) bool, span Span) (Drawn, error) {
	if span.Points < 1 || !span.To.After(span.From) {
		return Drawn{}, fmt.Errorf("range of %q: nothing can be in it", span.Reading)
	}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Drawn{}, fmt.Errorf("range of %q: %w", span.Reading, err)
	}
	defer func() { _ = tx.Rollback() }()
	ids, err := seriesOf(ctx, tx, wanted, span)
	if err != nil {
		return Drawn{}, fmt.Errorf("range of %q: %w", span.Reading, err)
	}
	g := gridOf(span)
	d := Drawn{Every: time.Duration(g.step) * time.Microsecond}
	var whole time.Time // since when no series has left out a change
	for _, id := range ids {
		if err := d.addPoints(ctx, tx, id, span, g); err != nil {
			return Drawn{}, fmt.Errorf("range of %q: %w", span.Reading, err)
		}
		since, err := d.addChanges(ctx, tx, id, span)
		if err != nil {
			return Drawn{}, fmt.Errorf("range of %q: %w", span.Reading, err)
		}
		if since.After(whole) {
			whole = since
		}
	}
	d.settle(span.From, whole)
	return d, nil
}

// Begins says since when anything is kept of a reading; zero where nothing is.
func (s *Store) Begins(ctx context.Context, wanted func(topic string) bool, about, reading string) (first time.Time, err error) {
	err = s.looking(ctx, func(tx *sql.Tx) error {
		ids, err := seriesOf(ctx, tx, wanted, Span{About: about, Reading: reading})
		if err != nil {
			return err
		}
		for _, id := range ids {
			// An hour whose minutes are kept begins with the first of them.
			at, err := column[sql.NullInt64](ctx, tx, `SELECT min(at) FROM (
					SELECT max(h.at, coalesce((SELECT min(m.at) FROM minutes AS m WHERE m.series = ?1 AND m.at >= h.at AND m.at < h.at + ?2), 0)) AS at
						FROM (SELECT min(at) AS at FROM hours WHERE series = ?1) AS h
					UNION ALL SELECT min(at) FROM changes WHERE series = ?1)`, id, time.Hour.Microseconds())
			if err != nil {
				return err
			}
			if begun := fromNull(at[0]); at[0].Valid && (first.IsZero() || begun.Before(first)) {
				first = begun
			}
		}
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("since when %q is recorded: %w", reading, err)
	}
	return first, nil
}

// grid is the steps of a span: whole minutes, or whole hours where one step is two of them or more.
type grid struct {
	table       string
	begin, step int64 // microseconds
}

func gridOf(span Span) grid {
	unit, table := time.Minute, "minutes"
	if span.To.Sub(span.From)/time.Duration(span.Points) >= 2*time.Hour {
		unit, table = time.Hour, "hours"
	}
	begin := span.From.Truncate(unit)
	steps := int64((span.To.Sub(begin) + unit - 1) / unit)
	step := (steps + int64(span.Points) - 1) / int64(span.Points)
	return grid{table, stamp(begin), step * unit.Microseconds()}
}

// lone are the hours whose minutes are not kept any more.
const lone = ` AND NOT EXISTS (SELECT 1 FROM minutes AS m WHERE m.series = ?1 AND m.at >= hours.at AND m.at < hours.at + 3600000000)`

// addPoints sums up by step, in the database: a year is 8,760 hours. Minutes go before hours: where they are gone it takes the hour.
func (d *Drawn) addPoints(ctx context.Context, tx *sql.Tx, series int64, span Span, g grid) error {
	err := d.addSums(ctx, tx, g.table, series, span, g)
	if err == nil && g.table == "minutes" {
		err = d.addSums(ctx, tx, "hours", series, span, g, lone)
	}
	return err
}

// addSums adds those of one table; settle puts them in one row.
func (d *Drawn) addSums(ctx context.Context, tx *sql.Tx, table string, series int64, span Span, g grid, only ...string) error {
	rows, err := tx.QueryContext(ctx, `SELECT (at - ?2) / ?3, sum(n), min(low), max(high), sum(total) FROM `+table+`
		WHERE series = ?1 AND at >= ?2 AND at < ?4`+strings.Join(only, "")+` GROUP BY 1 ORDER BY 1`, series, g.begin, g.step, stamp(span.To))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var step int64
		var p Point
		var total float64
		if err := rows.Scan(&step, &p.N, &p.Low, &p.High, &total); err != nil {
			return err
		}
		p.At, p.Mean = fromStamp(g.begin+step*g.step), meanOf(total, p)
		d.Points = append(d.Points, p)
	}
	return rows.Err()
}

// addChanges takes what was said in the span, and what held when it began. Where that is too much it gives since when all is taken.
func (d *Drawn) addChanges(ctx context.Context, tx *sql.Tx, series int64, span Span) (since time.Time, err error) {
	found, err := scanAll(ctx, tx, scanChange, `SELECT at, value, truth FROM changes WHERE series = ?1 AND at < ?3
		AND at >= coalesce((SELECT max(at) FROM changes WHERE series = ?1 AND at <= ?2), ?2) ORDER BY at DESC LIMIT ?4`,
		series, stamp(span.From), stamp(span.To), maxChanges)
	if len(found) == maxChanges {
		since = found[maxChanges-1].At
	}
	d.Changes = append(d.Changes, found...)
	return since, err
}

// settle puts what came on several topics, of several keys of one entity, in one row.
func (d *Drawn) settle(from, whole time.Time) {
	d.Changes = slices.DeleteFunc(d.Changes, func(c Change) bool { return c.At.Before(whole) })
	slices.SortStableFunc(d.Changes, func(a, b Change) int { return a.At.Compare(b.At) })
	n := len(d.Changes)
	d.Changes = d.Changes[max(0, n-maxChanges):]
	d.More = whole.After(from) || n > maxChanges
	slices.SortStableFunc(d.Points, func(a, b Point) int { return a.At.Compare(b.At) })
	kept := d.Points[:0]
	for _, p := range d.Points {
		if n := len(kept); n > 0 && kept[n-1].At.Equal(p.At) {
			kept[n-1] = kept[n-1].and(p)
			continue
		}
		kept = append(kept, p)
	}
	d.Points = kept
}

// meanOf is never outside what it is the mean of: adding up leaves noise in the last digits, and what is the same each time is no change.
func meanOf(total float64, p Point) float64 {
	return min(max(total/float64(p.N), p.Low), p.High)
}

// and joins two sums of the same step.
func (p Point) and(q Point) Point {
	if p.N == 0 {
		return q
	}
	sum := Point{At: p.At, N: p.N + q.N, Low: min(p.Low, q.Low), High: max(p.High, q.High)}
	sum.Mean = meanOf(p.Mean*float64(p.N)+q.Mean*float64(q.N), sum)
	return sum
}

// maxTogether is of how many topics one entity's reading is drawn together: in front of any broker a device may make them up.
const maxTogether = 16

// seriesOf finds the series that are drawn together, those that began first.
func seriesOf(ctx context.Context, tx *sql.Tx, wanted func(string) bool, span Span) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, topic FROM series WHERE about = ? AND reading = ? ORDER BY id`, span.About, span.Reading)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for len(ids) < maxTogether && rows.Next() {
		var id int64
		var topic string
		if err := rows.Scan(&id, &topic); err != nil {
			return nil, err
		}
		if wanted == nil || wanted(topic) {
			ids = append(ids, id)
		}
	}
	return ids, rows.Err()
}
