package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Drawable names a reading of an entity, and the topics that it came on: they are keys of one device.
type Drawable struct {
	About, Reading string
	Topics         []string
}

// Day is a reading over the last day, or over as much of it as is known, in steps. The zero value holds nothing.
type Day struct {
	Begin time.Time // of the first step
	Step  time.Duration
	Span  time.Duration // that it shows, until now
	Means []float64     // of each step; NaN where nothing was measured
	Last  int64         // how many numbers the last mean is of
	Usual *[24]Between  // nil where too little is known
}

// Between is what is usual in an hour of the day, in UTC. Both NaN: not known.
type Between struct{ Low, High float64 }

const (
	manyDays   = 40  // readings of which a whole day is drawn by the quarter of an hour; those beyond are drawn by the hour
	mostTopics = 8   // of one card
	usualDays  = 14  // that a usual range is of; the last day is not among them
	fewestDays = 3   // and as many it must be of at least
	fewestUse  = 9   // hours
	usualLow   = 0.1 // a tenth of them may lie below what is usual
	usualHigh  = 0.9 // and a tenth above
	wholeDay   = 24 * time.Hour
)

// scales are the times that a graph may show, and in what steps: the first one that holds all that is known.
var scales = []struct{ span, step time.Duration }{{10 * time.Minute, time.Minute}, {time.Hour, time.Minute}, {6 * time.Hour, 5 * time.Minute}, {wholeDay, 15 * time.Minute}}

// Days draws the last day of readings for a page of cards, one for each. What it reads is bounded by their number: of the first manyDays a day by the
// minute at most, of the others a day by the hour, and of each two weeks by the hour.
func (s *Store) Days(ctx context.Context, of []Drawable, now time.Time) ([]Day, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read the last day: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	r := dayReader{tx: tx, now: now}
	defer r.close()
	if err := r.prepare(ctx); err != nil {
		return nil, fmt.Errorf("read the last day: %w", err)
	}
	days := make([]Day, len(of))
	fine := manyDays
	for i, one := range of {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read the last day: %w", err)
		}
		if days[i], err = r.read(ctx, one, &fine); err != nil {
			return nil, fmt.Errorf("read the last day of %q: %w", one.Reading, err)
		}
	}
	return days, nil
}

// Drawables gives what is drawn of wanted topics, each with its topic.
func (s *Store) Drawables(ctx context.Context, wanted func(topic string) bool) ([]Drawable, error) {
	var all []Drawable
	err := s.looking(ctx, func(tx *sql.Tx) error {
		topics, err := topicsOf(ctx, tx, "series")
		if err != nil {
			return err
		}
		for _, topic := range topics {
			if wanted != nil && !wanted(topic) {
				continue
			}
			one := func(scan func(...any) error) (Drawable, error) {
				d := Drawable{Topics: []string{topic}}
				return d, scan(&d.About, &d.Reading)
			}
			found, err := scanAll(ctx, tx, one, `SELECT about, reading FROM series WHERE topic = ?`, topic)
			if err != nil {
				return err
			}
			all = append(all, found...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is drawn: %w", err)
	}
	return all, nil
}

// dayReader asks the same few questions for every card.
type dayReader struct {
	tx                                  *sql.Tx
	now                                 time.Time
	find, first, minutes, hours, usuals *sql.Stmt
}

func (r *dayReader) prepare(ctx context.Context) (err error) {
	for query, into := range map[string]**sql.Stmt{
		`SELECT id FROM series WHERE topic = ? AND about = ? AND reading = ?`:                                                               &r.find,
		`SELECT coalesce((SELECT at FROM minutes WHERE series = ?1 AND at >= ?2 ORDER BY at LIMIT 1), 0)`:                                   &r.first,
		`SELECT (at - ?2) / ?3, sum(n), sum(total), min(low), max(high) FROM minutes WHERE series = ?1 AND at >= ?2 AND at < ?4 GROUP BY 1`: &r.minutes,
		`SELECT (at - ?2) / ?3, sum(n), sum(total), min(low), max(high) FROM hours WHERE series = ?1 AND at >= ?2 AND at < ?4 GROUP BY 1`:   &r.hours,
		`SELECT at, n, total FROM hours WHERE series = ?1 AND at >= ?2 AND at < ?3`:                                                         &r.usuals,
	} {
		if *into, err = r.tx.PrepareContext(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

func (r *dayReader) close() {
	for _, s := range []*sql.Stmt{r.find, r.first, r.minutes, r.hours, r.usuals} {
		if s != nil {
			_ = s.Close()
		}
	}
}

func (r *dayReader) read(ctx context.Context, one Drawable, fine *int) (Day, error) {
	quick := context.WithoutCancel(ctx) // the driver starts a goroutine per statement to watch for an end; tx watches already
	var ids []int64
	for _, topic := range one.Topics[:min(len(one.Topics), mostTopics)] {
		var id int64
		switch err := r.find.QueryRowContext(quick, topic, one.About, one.Reading).Scan(&id); {
		case err == nil:
			ids = append(ids, id)
		case !errors.Is(err, sql.ErrNoRows):
			return Day{}, err
		}
	}
	if len(ids) == 0 {
		return Day{}, nil
	}
	day, err := r.day(quick, ids, fine)
	if err == nil && len(day.Means) > 0 {
		day.Usual, err = r.usual(quick, ids)
	}
	return day, err
}

// day sums up by step. What came on several topics is one line: the mean of all numbers of a step.
func (r *dayReader) day(ctx context.Context, ids []int64, fine *int) (Day, error) {
	first := r.now.Add(time.Second)
	for _, id := range ids {
		var at int64
		if err := r.first.QueryRowContext(ctx, id, stamp(r.now.Add(-wholeDay))).Scan(&at); err != nil {
			return Day{}, err
		}
		if at > 0 && fromStamp(at).Before(first) {
			first = fromStamp(at)
		}
	}
	if first.After(r.now) {
		return Day{}, nil
	}
	scale, from := scales[len(scales)-1], r.minutes
	for _, s := range slices.Backward(scales) {
		if r.now.Sub(first) <= s.span {
			scale = s
		}
	}
	if scale.span == wholeDay {
		if *fine--; *fine < 0 {
			scale.step, from = time.Hour, r.hours
		}
	}
	day := Day{Step: scale.step, Span: scale.span, Begin: r.now.Add(-scale.span).Truncate(scale.step)}
	steps := int(r.now.Sub(day.Begin)/scale.step) + 1
	all := make([]Point, steps)
	for _, id := range ids {
		rows, err := from.QueryContext(ctx, id, stamp(day.Begin), scale.step.Microseconds(), stamp(r.now)+1)
		if err != nil {
			return Day{}, err
		}
		for rows.Next() {
			var step int64
			var p Point
			var total float64
			if err := rows.Scan(&step, &p.N, &total, &p.Low, &p.High); err != nil {
				_ = rows.Close()
				return Day{}, err
			}
			p.Mean = meanOf(total, p)
			all[step] = all[step].and(p)
		}
		if err := rows.Close(); err != nil {
			return Day{}, err
		}
	}
	day.fill(all)
	return day, nil
}

// fill leaves the empty steps at the end out.
func (d *Day) fill(all []Point) {
	for len(all) > 0 && all[len(all)-1].N == 0 {
		all = all[:len(all)-1]
	}
	for _, p := range all {
		if p.N == 0 {
			d.Means = append(d.Means, math.NaN())
			continue
		}
		d.Means = append(d.Means, p.Mean)
		d.Last = p.N
	}
}

// usual is the range in which most means of an hour lay, at that time of the day, in the two weeks before the last day. The hours before and after count too,
// so that few days give an even band.
func (r *dayReader) usual(ctx context.Context, ids []int64) (*[24]Between, error) {
	byHour, days, err := r.hourly(ctx, ids)
	if err != nil || days < fewestDays {
		return nil, err
	}
	var usual [24]Between
	known := false
	for h := range usual {
		pool := slices.Concat(byHour[(h+23)%24], byHour[h], byHour[(h+1)%24])
		usual[h] = Between{math.NaN(), math.NaN()}
		if len(byHour[h]) < fewestDays || len(pool) < fewestUse {
			continue
		}
		slices.Sort(pool)
		usual[h], known = Between{quantile(pool, usualLow), quantile(pool, usualHigh)}, true
	}
	if !known {
		return nil, nil
	}
	return &usual, nil
}

// hourly gives the means of the hours by the hour of the day, and of how many days they are.
func (r *dayReader) hourly(ctx context.Context, ids []int64) (means [24][]float64, days int, err error) {
	type sum struct {
		n     int64
		total float64
	}
	hours := map[int64]sum{}
	until := r.now.Add(-wholeDay).Truncate(time.Hour)
	for _, id := range ids {
		rows, err := r.usuals.QueryContext(ctx, id, stamp(until.Add(-usualDays*wholeDay)), stamp(until))
		if err != nil {
			return means, 0, err
		}
		for rows.Next() {
			var at int64
			var one sum
			if err := rows.Scan(&at, &one.n, &one.total); err != nil {
				_ = rows.Close()
				return means, 0, err
			}
			before := hours[at]
			hours[at] = sum{before.n + one.n, before.total + one.total}
		}
		if err := rows.Close(); err != nil {
			return means, 0, err
		}
	}
	seen := map[int64]struct{}{}
	for at, one := range hours {
		h := fromStamp(at).Hour()
		means[h] = append(means[h], one.total/float64(one.n))
		seen[at/wholeDay.Microseconds()] = struct{}{}
	}
	return means, len(seen), nil
}

// quantile of what is sorted, between the two that are nearest.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}
