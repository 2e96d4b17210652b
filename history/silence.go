package history

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"trellis/message"
)

// Silence is a time in which a speaker was not heard.
type Silence struct {
	From time.Time
	To   time.Time // zero: it lasts
}

const (
	maxHops      = 1000 // steps in which a span is looked through: silences that are shorter than one are not found in long spans
	seriesAsked  = 64   // readings of one speaker that are asked for signs of life
	messagesRead = 4096 // of one silence, to know it exactly
)

// Speakers gives who is heard on wanted topics; more says that there are others.
func (s *Store) Speakers(ctx context.Context, wanted func(topic string) bool) (all []Speaker, more bool, err error) {
	err = s.looking(ctx, func(tx *sql.Tx) error {
		topics, err := topicsOf(ctx, tx, "series")
		if err != nil {
			return err
		}
		for _, topic := range topics {
			if wanted != nil && !wanted(topic) {
				continue
			}
			names, err := column[string](ctx, tx, `SELECT DISTINCT about FROM series WHERE topic = ? LIMIT ?`, topic, maxSpeakers-len(all)+1)
			if err != nil {
				return err
			}
			for _, about := range names {
				all = append(all, Speaker{topic, about})
			}
			if len(all) > maxSpeakers {
				all, more = all[:maxSpeakers], true
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("read who is heard: %w", err)
	}
	return all, more, nil
}

// Silences gives the times between from and to, of at least least, in which a speaker said nothing and which long accepts, oldest first. What long accepts
// it accepts too when it is longer at either end. The first may have begun before from. The minutes of its numbers say where to look, and its messages say
// what was so: where messages were removed nothing is said.
func (s *Store) Silences(ctx context.Context, of Speaker, from, to time.Time, least time.Duration, long func(last, next time.Time) bool) (found []Silence, err error) {
	from, to = fromStamp(stamp(from)), fromStamp(stamp(to)) // as exact as what is kept, or one that lasts would seem to end just before
	if !to.After(from) {
		return nil, nil
	}
	err = s.looking(ctx, func(tx *sql.Tx) error {
		perhaps, err := still(ctx, tx, of, pause{stamp(from), stamp(to)}, max(least, to.Sub(from)/maxHops).Microseconds(), long)
		if err != nil {
			return err
		}
		whole, err := wholeFrom(ctx, tx, of.Topic)
		if err != nil {
			return err
		}
		for _, p := range perhaps {
			moments, err := around(ctx, tx, of, p, whole, stamp(to))
			if err != nil {
				return err
			}
			for i := 1; i < len(moments); i++ {
				last, next := moments[i-1], moments[i]
				if next.After(from) && (len(found) == 0 || last.After(found[len(found)-1].From)) && long(last, next) {
					found = append(found, Silence{last, next})
				}
			}
		}
		if n := len(found); n > 0 && !found[n-1].To.Before(to) {
			found[n-1].To = time.Time{}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("when %s was silent: %w", of.About, err)
	}
	return found, nil
}

// pause is a time between two minutes in which somebody was heard.
type pause struct{ from, to int64 }

// still finds where no number of a speaker came for longer than least, and for so long that long may accept it: by one reading, and within what that
// leaves by the next. Most speakers have nothing left after the first, and only what is left is read message by message.
func still(ctx context.Context, tx *sql.Tx, of Speaker, span pause, least int64, long func(last, next time.Time) bool) ([]pause, error) {
	ids, err := column[int64](ctx, tx, `SELECT id FROM series WHERE topic = ? AND about = ? LIMIT ?`, of.Topic, of.About, seriesAsked)
	if err != nil {
		return nil, err
	}
	before, err := column[sql.NullInt64](ctx, tx, `SELECT max((SELECT max(at) FROM minutes WHERE series = s.id AND at <= ?3))
		FROM (SELECT id FROM series WHERE topic = ?1 AND about = ?2 LIMIT ?4) AS s`, of.Topic, of.About, span.from, seriesAsked)
	if err != nil {
		return nil, err
	}
	if before[0].Valid {
		span.from = before[0].Int64
	}
	left := []pause{span}
	for _, id := range ids {
		var next []pause
		for _, p := range left {
			more, err := hops(ctx, tx, id, p, least)
			if err != nil {
				return nil, err
			}
			for _, m := range more {
				if long(fromStamp(m.from), fromStamp(m.to).Add(time.Minute)) { // it was heard within that minute
					next = append(next, m)
				}
			}
		}
		if left = next; len(left) == 0 {
			break
		}
	}
	return left, nil
}

// hops goes from minute to minute, as far as a silence may be long at once, so that it costs the same however often somebody speaks.
func hops(ctx context.Context, tx *sql.Tx, series int64, in pause, least int64) ([]pause, error) {
	return scanAll(ctx, tx, func(scan func(...any) error) (p pause, err error) {
		return p, scan(&p.from, &p.to)
	}, `WITH RECURSIVE hop (was, at) AS (
			SELECT NULL, ?2
			UNION ALL
			SELECT at, coalesce(
				(SELECT max(at) FROM minutes WHERE series = ?1 AND at > hop.at AND at <= hop.at + ?4 AND at < ?3),
				(SELECT min(at) FROM minutes WHERE series = ?1 AND at > hop.at AND at < ?3),
				?3) FROM hop WHERE at < ?3)
		SELECT was, at FROM hop WHERE at - was > ?4`, series, in.from, in.to, least)
}

// around gives the moments at which a speaker was heard: the last before a pause, those within it, if messages without numbers came, and the next,
// which is the end where there is none. Messages before the one from which on all are kept are no neighbours of each other.
func around(ctx context.Context, tx *sql.Tx, of Speaker, p pause, kept, end int64) ([]time.Time, error) {
	p.from += time.Minute.Microseconds() // it was heard within that minute
	p.to += time.Minute.Microseconds()
	first, last, err := between(ctx, tx, PageOf{From: fromStamp(p.from), To: fromStamp(end)})
	if err != nil {
		return nil, err
	}
	moments, _, err := heardFrom(ctx, tx, of, kept, first-1, "DESC", func(int64) bool { return true })
	if err != nil {
		return nil, err
	}
	after, whole, err := heardFrom(ctx, tx, of, max(first, kept), last, "ASC", func(at int64) bool { return at >= p.to })
	if err != nil {
		return nil, err
	}
	moments = append(moments, after...)
	if n := len(moments); whole && n > 0 {
		moments = append(moments, fromStamp(end))
	}
	return moments, nil
}

// heardFrom gives moments in the order in which they are looked for, until one is enough. Whole says that there are no others: it looks at so many
// messages of everybody on the topic and no more.
func heardFrom(ctx context.Context, tx *sql.Tx, of Speaker, first, last int64, order string, enough func(at int64) bool) (moments []time.Time, whole bool, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT received, about = ?1, source, CASE WHEN about = ?1 AND instr(payload, CAST('"page"' AS BLOB)) THEN payload END FROM messages
		WHERE topic = ?2 AND id BETWEEN ?3 AND ?4 ORDER BY id `+order+` LIMIT ?5`, of.About, of.Topic, first, last, messagesRead)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	walked := 0
	for ; rows.Next(); walked++ {
		var at int64
		var own bool
		var source string
		var payload []byte // nil where a look shows that no page sent it
		if err := rows.Scan(&at, &own, &source, &payload); err != nil {
			return nil, false, err
		}
		if own && !message.ByHand(source, payload) {
			if moments = append(moments, fromStamp(at)); enough(at) {
				return moments, false, nil
			}
		}
	}
	return moments, walked < messagesRead, rows.Err()
}
