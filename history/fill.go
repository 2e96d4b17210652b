package history

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/pressly/goose/v3"

	"trellis/message"
)

// steps are the migrations that SQL alone cannot say.
func steps() []*goose.Migration {
	return []*goose.Migration{
		goose.NewGoMigration(3, &goose.GoFunc{RunTx: fillValues}, nil),
		goose.NewGoMigration(11, &goose.GoFunc{RunTx: fillSeries}, nil),
	}
}

// fillAtOnce is how many messages fillSeries holds in memory.
const fillAtOnce = 1000

// fillSeries draws what was recorded before 00010.
func fillSeries(ctx context.Context, tx *sql.Tx) error {
	ready := preparedIn(tx)
	defer ready.close()
	for last := int64(0); ; {
		type row struct {
			id, received int64
			message.Message
		}
		rows, err := scanAll(ctx, tx, func(scan func(...any) error) (r row, err error) {
			return r, scan(&r.id, &r.received, &r.Topic, &r.Source, &r.About, &r.Payload)
		}, `SELECT id, received, topic, source, about, payload FROM messages WHERE id > ? ORDER BY id LIMIT ?`, last, fillAtOnce)
		if err != nil || len(rows) == 0 {
			return err
		}
		series := newDrawn()
		for _, r := range rows {
			last = r.id
			if r.About == "" || message.ByHand(r.Source, r.Payload) {
				continue
			}
			at, found, _ := carefully(func() (time.Time, []message.Reading) { return delivered(r.Payload, fromStamp(r.received)) })
			for _, one := range found {
				series.add(reading{r.Topic, r.About, one.Name}, one.Value, at)
			}
		}
		if err := series.write(ready); err != nil {
			return err
		}
	}
}

// fillValues gives the readings that were noted before 00002 their values, out of the messages that hold them.
func fillValues(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE latest SET size = coalesce((SELECT length(payload) FROM messages WHERE id = message), 0)`)
	if err != nil {
		return err
	}
	topics, err := topicsOf(ctx, tx, "latest")
	if err != nil {
		return err
	}
	ready := preparedIn(tx)
	defer ready.close()
	for _, topic := range topics {
		if err := forget(ready, topic); err != nil { // they were not bounded by bytes before
			return err
		}
	}
	ids, err := column[int64](ctx, tx, `SELECT DISTINCT message FROM latest`)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := fillFrom(ctx, ready, id); err != nil {
			return err
		}
	}
	return nil
}

// fillFrom fills what one message is the newest of.
func fillFrom(ctx context.Context, ready *prepared, id int64) error {
	var m message.Message
	var received int64
	err := ready.row(`SELECT topic, source, about, payload, received FROM messages WHERE id = ?`, []any{id},
		&m.Topic, &m.Source, &m.About, &m.Payload, &received)
	if err != nil {
		return err
	}
	names, err := column[string](ctx, ready.tx, `SELECT reading FROM latest WHERE message = ?`, id)
	if err != nil {
		return err
	}
	at, found, _ := carefully(func() (time.Time, []message.Reading) { return delivered(m.Payload, fromStamp(received)) })
	hand := message.ByHand(m.Source, m.Payload)
	held := make(map[reading]noted, len(names))
	for _, r := range found {
		if slices.Contains(names, r.Name) {
			held[reading{m.Topic, m.About, r.Name}] = noted{message: id, size: len(m.Payload), value: r.Value, at: at, byHand: hand}
		}
	}
	return remember(ready, held)
}
