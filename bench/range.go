package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"trellis/history"
	"trellis/message"
)

// Ways to ask for 24 hours of one reading.
const (
	byRange    = "trellis"
	byMessages = "of the messages"
)

const (
	rangeAim    = 20 // ms, p99
	rangePoints = 300
	rangeAsks   = 500
	messageAsks = 15 // each takes as long as many of ours
	bytesStored = 400
)

// past is a record of many messages that both ways are asked of.
type past struct {
	dir   string
	store *history.Store
	plain *sql.DB
}

func startPast(o options) (_ bed, err error) {
	dir, err := os.MkdirTemp("", "trellis-bench-range-")
	if err != nil {
		return nil, err
	}
	p := &past{dir: dir}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	fmt.Fprintf(os.Stderr, "range: stores %d messages in %s, which takes about %.1f GB of it for now\n", o.stored, dir, float64(o.stored)*bytesStored/1e9)
	began := time.Now()
	if err := seed(dir, o.stored); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	fmt.Fprintf(os.Stderr, "range: that took %.0f s\n", time.Since(began).Seconds())
	if p.store, err = history.Open(context.Background(), dir, history.Config{}); err != nil {
		return nil, err
	}
	p.plain, err = openSQL(filepath.Join(dir, "trellis.db"), "query_only(1)")
	return p, err
}

func (p *past) stop() {
	if p.plain != nil {
		_ = p.plain.Close()
	}
	if p.store != nil {
		_ = p.store.Close()
	}
	_ = os.RemoveAll(p.dir)
}

func (p *past) do(way string) (figures, error) {
	asks, ask := rangeAsks, p.askRange
	if way == byMessages {
		asks, ask = messageAsks, p.askMessages
	}
	took := make([]time.Duration, asks)
	for i := range took {
		// Another device and another day each time: what was asked for before is of no help.
		device, from := rand.IntN(devices), firstSaid.Add(time.Duration(rand.IntN((benchDays-1)*24))*time.Hour)
		began := time.Now()
		if err := ask(device, from); err != nil {
			return nil, err
		}
		took[i] = time.Since(began)
	}
	ms := func(share float64) float64 { return percentile(took, share).Seconds() * 1000 }
	return figures{half: ms(0.5), late: ms(0.99)}, nil
}

func (p *past) askRange(device int, from time.Time) error {
	topic := fmt.Sprintf("home/local/key%d/publish", device)
	drawn, err := p.store.Range(context.Background(), func(t string) bool { return t == topic },
		history.Span{About: fmt.Sprintf("dev%d", device), Reading: "temperature", From: from, To: from.Add(24 * time.Hour), Points: rangePoints})
	if err == nil && len(drawn.Points) < rangePoints/2 {
		err = fmt.Errorf("only %d points", len(drawn.Points))
	}
	return err
}

// askMessages has the same answer made out of what was said.
func (p *past) askMessages(device int, from time.Time) error {
	const step = int64(24 * time.Hour / rangePoints / time.Microsecond)
	rows, err := p.plain.Query(`SELECT (received - ?2) / ?4, count(*), min(v), avg(v), max(v) FROM
		(SELECT received, json_extract(payload, '$.data.temperature') AS v FROM messages WHERE topic = ?1 AND received >= ?2 AND received < ?3) GROUP BY 1`,
		fmt.Sprintf("home/local/key%d/publish", device), from.UnixMicro(), from.Add(24*time.Hour).UnixMicro(), step)
	if err != nil {
		return err
	}
	defer rows.Close()
	points := 0
	for rows.Next() {
		points++
	}
	if err := rows.Err(); err != nil || points >= rangePoints/2 {
		return err
	}
	return errors.New("too few points")
}

// seed makes a record of so many messages, as Append would have made it of [saying]; a test holds it to that. Appending ten million
// would take half an hour.
func seed(dir string, all int64) error {
	ctx := context.Background()
	store, err := history.Open(ctx, dir, history.Config{})
	if err != nil {
		return err
	}
	if err := store.Append(ctx, firstOfEach(all)); err != nil {
		return errors.Join(err, store.Close())
	}
	if err := store.Close(); err != nil {
		return err
	}
	db, err := openSQL(filepath.Join(dir, "trellis.db"), "journal_mode(OFF)", "synchronous(OFF)", "cache_size(-400000)", "temp_store(MEMORY)")
	if err != nil {
		return err
	}
	for _, step := range seeding {
		if _, err := db.Exec(step, sql.Named("all", all), sql.Named("step", stepOf(all)), sql.Named("first", firstSaid.UnixMicro()), sql.Named("devices", devices)); err != nil {
			return errors.Join(fmt.Errorf("%.40s: %w", step, err), db.Close())
		}
	}
	return errors.Join(sumMinutes(db, all), db.Close())
}

// firstOfEach are the first messages: of each device one, so that its series is there.
func firstOfEach(all int64) (batch []message.Message) {
	for i := range int64(devices) {
		batch = append(batch, saying(i, all).message())
	}
	return batch
}

// seeding adds the rest in SQL. Each step knows all four.
var seeding = []string{
	`DROP INDEX messages_topic`,
	`DROP INDEX messages_received`,
	`WITH RECURSIVE n (i) AS (SELECT @devices UNION ALL SELECT i + 1 FROM n WHERE i + 1 < @all)
	INSERT INTO messages (received, topic, source, about, payload) SELECT @first + i * @step, 'home/local/key' || (i % @devices) || '/publish',
		'home:local:dev' || (i % @devices), 'dev' || (i % @devices), CAST('{"msg_type":"publish","data":{"temperature":' || printf('%.1f', (i * 7919 % 1000) / 10.0) ||
		'},"tags":["bench"],"source":"home:local:dev' || (i % @devices) || '","entity":"","dest":"","context":{"hops":0,"about":"dev' || (i % @devices) || '"}}' AS BLOB)
	FROM n`,
	`CREATE INDEX messages_topic ON messages (topic)`,
	`CREATE INDEX messages_received ON messages (received)`,
	`UPDATE latest SET (message, value, at, size) = (SELECT id, json_extract(payload, '$.data.temperature'), received, length(payload) FROM messages
		WHERE messages.topic = latest.topic ORDER BY id DESC LIMIT 1)`,
}

// sumMinutes sums up what was said, in the order of the devices' series.
func sumMinutes(db *sql.DB, all int64) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec(`DELETE FROM minutes; DELETE FROM hours`); err != nil {
		return err
	}
	put, err := tx.Prepare(`INSERT INTO minutes (series, at, n, low, high, total)
		SELECT id, ?2, ?3, ?4, ?5, ?6 FROM series WHERE topic = 'home/local/key' || ?1 || '/publish'`)
	if err != nil {
		return err
	}
	defer put.Close()
	for device := range int64(devices) {
		var at, n int64
		var low, high, total float64
		for i := device; i < all; i += devices {
			when, v := firstSaid.UnixMicro()+i*stepOf(all), valueOf(i)
			minute := when - when%time.Minute.Microseconds()
			if minute != at && n > 0 {
				if _, err := put.Exec(device, at, n, low, high, total); err != nil {
					return err
				}
				n = 0
			}
			if n == 0 {
				at, low, high, total = minute, v, v, 0
			}
			n, low, high, total = n+1, min(low, v), max(high, v), total+v
		}
		if _, err := put.Exec(device, at, n, low, high, total); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`INSERT INTO hours SELECT series, at / 3600000000 * 3600000000, sum(n), min(low), max(high), sum(total) FROM minutes GROUP BY 1, 2`)
	if err != nil {
		return err
	}
	return tx.Commit()
}
