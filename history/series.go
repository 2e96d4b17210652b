package history

import (
	"database/sql"
	"errors"
	"math"
	"time"
)

// maxSeries is how many readings of one topic are drawn over time. What comes beyond that is recorded all the same, as messages.
const maxSeries = 512

// hugest is the largest number that is drawn. Nothing measures more, and the sum of some that are larger is none: a database that is asked to
// hold it refuses everything that came with it.
const hugest = 1e250

// sums are the numbers of one reading within a minute or an hour.
type sums struct {
	n                int64
	low, high, total float64
}

func (s sums) plus(v float64) sums {
	if s.n == 0 {
		return sums{1, v, v, v}
	}
	return sums{s.n + 1, math.Min(s.low, v), math.Max(s.high, v), s.total + v}
}

// change is a word or a truth value at a moment.
type change struct {
	at    int64
	value any
}

// drawn collects what a batch of messages adds to the series, so that each minute is written once.
type drawn struct {
	minutes map[spot]sums
	changes map[reading][]change
}

// spot is a minute of a reading.
type spot struct {
	reading
	at int64
}

func newDrawn() *drawn { return &drawn{map[spot]sums{}, map[reading][]change{}} }

func (d *drawn) add(r reading, value any, at time.Time) {
	switch v := value.(type) {
	case float64:
		if math.Abs(v) <= hugest { // which no NaN is
			to := spot{r, stamp(at.Truncate(time.Minute))}
			d.minutes[to] = d.minutes[to].plus(v)
		}
	case string, bool:
		changes := d.changes[r]
		if n := len(changes); n > 0 && changes[n-1].value == value {
			return
		}
		d.changes[r] = append(changes, change{stamp(at), value})
	}
}

// write adds all of it to the series.
func (d *drawn) write(ready *prepared) error {
	if len(d.minutes)+len(d.changes) == 0 {
		return nil
	}
	ids := seriesIDs{ready: ready, known: map[reading]int64{}}
	hours := map[spot]sums{}
	for at, s := range d.minutes {
		hour := spot{at.reading, at.at - at.at%time.Hour.Microseconds()}
		h := hours[hour]
		if h.n == 0 {
			hours[hour] = s
			continue
		}
		hours[hour] = sums{h.n + s.n, math.Min(h.low, s.low), math.Max(h.high, s.high), h.total + s.total}
	}
	for table, all := range map[string]map[spot]sums{"minutes": d.minutes, "hours": hours} {
		if err := ids.addAll(table, all); err != nil {
			return err
		}
	}
	for r, changes := range d.changes {
		id, err := ids.of(r)
		if err != nil {
			return err
		}
		if id == 0 {
			continue
		}
		for _, c := range changes {
			if err := note(ready, id, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// note writes a word down if it is another than the one before it.
func note(ready *prepared, series int64, c change) error {
	_, truth := c.value.(bool)
	_, err := ready.exec(`INSERT INTO changes (series, at, value, truth)
		SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM (SELECT value, truth FROM changes WHERE series = ?1 AND at <= ?2 ORDER BY at DESC LIMIT 1)
			WHERE value = ?3 AND truth = ?4)
		ON CONFLICT DO UPDATE SET value = excluded.value, truth = excluded.truth`, series, c.at, c.value, truth)
	return err
}

// seriesIDs finds the series of a reading, or makes it.
type seriesIDs struct {
	ready *prepared
	known map[reading]int64
}

// of gives 0 where the topic has too many.
func (s *seriesIDs) of(r reading) (int64, error) {
	if id, known := s.known[r]; known {
		return id, nil
	}
	var id int64
	err := s.ready.row(`SELECT id FROM series WHERE topic = ? AND about = ? AND reading = ?`, []any{r.topic, r.about, r.name}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		id, err = inserted(s.ready.exec(`INSERT INTO series (topic, about, reading)
			SELECT ?1, ?2, ?3 WHERE (SELECT count(*) FROM series WHERE topic = ?1) < ?4`, r.topic, r.about, r.name, maxSeries))
	}
	if err != nil {
		return 0, err
	}
	s.known[r] = id
	return id, nil
}

func (s *seriesIDs) addAll(table string, all map[spot]sums) error {
	add := `INSERT INTO ` + table + ` (series, at, n, low, high, total) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET n = n + excluded.n, low = min(low, excluded.low), high = max(high, excluded.high), total = total + excluded.total`
	for at, sum := range all {
		id, err := s.of(at.reading)
		if err != nil {
			return err
		}
		if id == 0 {
			continue
		}
		if _, err := s.ready.exec(add, id, at.at, sum.n, sum.low, sum.high, sum.total); err != nil {
			return err
		}
	}
	return nil
}
