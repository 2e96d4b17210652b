package history

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// Turn is a moment at which a word or a truth value became another.
type Turn struct {
	About, Reading string
	At             time.Time
	Before         any // string or bool; nil where nothing is known of before
	Value          any // string or bool
}

// Bounds of what is told of what happened.
const (
	turnsOfReading = 500
	maxTurns       = 5000
	maxToldSeries  = 4000    // readings that are looked at
	maxCounted     = 100_000 // messages
	maxSpeakers    = 500     // devices
)

// Turns gives what became another after from and no later than to, newest first. More says that there is more than that.
func (s *Store) Turns(ctx context.Context, wanted func(topic string) bool, from, to time.Time) (turns []Turn, more bool, err error) {
	err = s.looking(ctx, func(tx *sql.Tx) error {
		turned, cut, err := readingsThat(ctx, tx, wanted, `EXISTS (SELECT 1 FROM changes AS c WHERE c.series = s.id AND c.at > ?2 AND c.at <= ?3)`, stamp(from), stamp(to))
		if err != nil {
			return err
		}
		more = cut
		for _, one := range turned {
			if len(turns) >= maxTurns {
				more = true
				return nil
			}
			found, cut, err := turnsOf(ctx, tx, one, from, to)
			if err != nil {
				return err
			}
			turns, more = append(turns, found...), more || cut
		}
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("read what changed: %w", err)
	}
	slices.SortStableFunc(turns, func(a, b Turn) int { return b.At.Compare(a.At) })
	return turns, more, nil
}

// turnsOf takes the newest ones, and what held before them.
func turnsOf(ctx context.Context, tx *sql.Tx, one toldReading, from, to time.Time) (turns []Turn, cut bool, err error) {
	var changes []Change
	for _, series := range one.series {
		more, err := scanAll(ctx, tx, scanChange, `SELECT at, value, truth FROM changes WHERE series = ?1 AND at <= ?3
			AND at >= coalesce((SELECT max(at) FROM changes WHERE series = ?1 AND at <= ?2), ?2) ORDER BY at DESC LIMIT ?4`,
			series, stamp(from), stamp(to), turnsOfReading+2)
		if err != nil {
			return nil, false, err
		}
		changes = append(changes, more...)
	}
	if len(one.series) > 1 {
		slices.SortStableFunc(changes, func(a, b Change) int { return b.At.Compare(a.At) })
	}
	for i, c := range changes {
		if !c.At.After(from) || i > turnsOfReading {
			break
		}
		t := Turn{About: one.about, Reading: one.reading, At: c.At, Value: c.Value}
		if i+1 < len(changes) {
			t.Before = changes[i+1].Value
		}
		if t.Before != t.Value { // what came late, or on another topic too, may stand between two that are the same
			turns = append(turns, t)
		}
	}
	return turns, len(changes) > turnsOfReading+1 && changes[turnsOfReading+1].At.After(from), nil
}

func scanChange(scan func(...any) error) (c Change, err error) {
	var at int64
	var truth bool
	if err := scan(&at, &c.Value, &truth); err != nil {
		return c, err
	}
	if number, is := c.Value.(int64); is && truth {
		c.Value = number != 0
	}
	c.At = fromStamp(at)
	return c, nil
}

// MessageCount is how many messages came from from on and before to; many says that there are more than were counted.
func (s *Store) MessageCount(ctx context.Context, wanted func(topic string) bool, from, to time.Time) (n int, many bool, err error) {
	err = s.looking(ctx, func(tx *sql.Tx) error {
		first, last, err := between(ctx, tx, PageOf{From: from, To: to})
		if err != nil {
			return err
		}
		topics, err := topicsOf(ctx, tx, "messages")
		if err != nil {
			return err
		}
		for _, topic := range topics {
			if wanted != nil && !wanted(topic) {
				continue
			}
			more, err := column[int](ctx, tx, `SELECT count(*) FROM (SELECT 1 FROM messages WHERE topic = ? AND id BETWEEN ? AND ? LIMIT ?)`,
				topic, first, last, maxCounted-n+1)
			if err != nil {
				return err
			}
			if n += more[0]; n > maxCounted {
				n, many = maxCounted, true
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return 0, false, fmt.Errorf("count messages: %w", err)
	}
	return n, many, nil
}

// looking runs do on one moment of the file.
func (s *Store) looking(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	return do(tx)
}

// toldReading is a reading of which something is told. What a device says of it on several topics is one reading: it has had several keys, or
// speaks on two topics.
type toldReading struct {
	series         []int64
	about, reading string
}

// readingsThat finds the readings, at most maxToldSeries, on wanted topics for one series of which a condition on s holds; cut says that there are others.
func readingsThat(ctx context.Context, tx *sql.Tx, wanted func(string) bool, condition string, args ...any) (all []toldReading, cut bool, err error) {
	topics, err := topicsOf(ctx, tx, "series")
	if err != nil {
		return nil, false, err
	}
	type found struct {
		toldReading
		holds bool
	}
	var every []found
	at := map[[2]string]int{} // where it is in every
	for _, topic := range topics {
		if wanted != nil && !wanted(topic) {
			continue
		}
		_, err := scanAll(ctx, tx, func(scan func(...any) error) (none struct{}, err error) {
			var id int64
			var name [2]string
			var holds bool
			if err := scan(&id, &name[0], &name[1], &holds); err != nil {
				return none, err
			}
			n, known := at[name]
			if !known {
				n, at[name] = len(every), len(every)
				every = append(every, found{toldReading: toldReading{about: name[0], reading: name[1]}})
			}
			every[n].holds = every[n].holds || holds
			if len(every[n].series) < maxTogether {
				every[n].series = append(every[n].series, id)
			}
			return none, nil
		}, `SELECT id, about, reading, `+condition+` FROM series AS s WHERE topic = ?1`, append([]any{topic}, args...)...)
		if err != nil {
			return nil, false, err
		}
	}
	for _, one := range every {
		if !one.holds {
			continue
		}
		if len(all) == maxToldSeries {
			return all, true, nil
		}
		all = append(all, one.toldReading)
	}
	return all, false, nil
}
