package history

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
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
	for _, id := range ids {
		if err := d.addPoints(ctx, tx, id, span, g); err != nil {
			return Drawn{}, fmt.Errorf("range of %q: %w", span.Reading, err)
		}
		if err := d.addChanges(ctx, tx, id, span); err != nil {
			return Drawn{}, fmt.Errorf("range of %q: %w", span.Reading, err)
		}
	}
	d.settle()
	return d, nil
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

// addPoints sums up by step, in the database: a year is 8,760 hours.
func (d *Drawn) addPoints(ctx context.Context, tx *sql.Tx, series int64, span Span, g grid) error {
	rows, err := tx.QueryContext(ctx, `SELECT (at - ?2) / ?3, sum(n), min(low), max(high), sum(total) FROM `+g.table+`
		WHERE series = ?1 AND at >= ?2 AND at < ?4 GROUP BY 1 ORDER BY 1`, series, g.begin, g.step, stamp(span.To))
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
		p.At, p.Mean = fromStamp(g.begin+step*g.step), total/float64(p.N)
		d.Points = append(d.Points, p)
	}
	return rows.Err()
}

// addChanges takes what was said in the span, and what held when it began.
func (d *Drawn) addChanges(ctx context.Context, tx *sql.Tx, series int64, span Span) error {
	rows, err := tx.QueryContext(ctx, `SELECT at, value, truth FROM changes WHERE series = ?1 AND at < ?3
		AND at >= coalesce((SELECT max(at) FROM changes WHERE series = ?1 AND at <= ?2), ?2) ORDER BY at DESC LIMIT ?4`,
		series, stamp(span.From), stamp(span.To), maxChanges)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		var truth bool
		var c Change
		if err := rows.Scan(&at, &c.Value, &truth); err != nil {
			return err
		}
		if number, is := c.Value.(int64); is && truth {
			c.Value = number != 0
		}
		c.At = fromStamp(at)
		d.Changes = append(d.Changes, c)
	}
	return rows.Err()
}

// settle puts what came on several topics, of several keys of one entity, in one row.
func (d *Drawn) settle() {
	slices.SortStableFunc(d.Changes, func(a, b Change) int { return a.At.Compare(b.At) })
	d.Changes = d.Changes[max(0, len(d.Changes)-maxChanges):]
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

// and joins two sums of the same step.
func (p Point) and(q Point) Point {
	n := p.N + q.N
	return Point{
		At: p.At, N: n, Low: min(p.Low, q.Low), High: max(p.High, q.High),
		Mean: (p.Mean*float64(p.N) + q.Mean*float64(q.N)) / float64(n),
	}
}

func seriesOf(ctx context.Context, tx *sql.Tx, wanted func(string) bool, span Span) ([]int64, error) {
	topics, err := topicsOf(ctx, tx, "series")
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, topic := range topics {
		if wanted != nil && !wanted(topic) {
			continue
		}
		more, err := column[int64](ctx, tx, `SELECT id FROM series WHERE topic = ? AND about = ? AND reading = ?`, topic, span.About, span.Reading)
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	return ids, nil
}
