package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite"

	"trellis/history"
	"trellis/message"
)

// Ways to record.
const (
	byAppend = "trellis"
	bySQL    = "plain inserts"
	byShell  = "sqlite3"
)

// recordBatch is how many messages go in one transaction. The recorder takes more at once when more waits.
const recordBatch = 256

// said is one message of the made-up devices that are recorded: each has one reading, and all of them speak in turns.
type said struct {
	topic, source, about string
	payload              []byte
	received             time.Time
}

const (
	devices   = 20
	benchDays = 30
)

// firstSaid is when the record begins: at the start of an hour, so that 24 hours are 24 of them.
var firstSaid = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// saying gives the number i of so many that fill the days evenly. seeding says the same in SQL.
func saying(i, all int64) said {
	device := i % devices
	return said{
		topic:    fmt.Sprintf("home/local/key%d/publish", device),
		source:   fmt.Sprintf("home:local:dev%d", device),
		about:    fmt.Sprintf("dev%d", device),
		received: firstSaid.Add(time.Duration(i*stepOf(all)) * time.Microsecond),
		payload: fmt.Appendf(nil, `{"msg_type":"publish","data":{"temperature":%.1f},"tags":["bench"],"source":"home:local:dev%d","entity":"","dest":"","context":{"hops":0,"about":"dev%d"}}`,
			valueOf(i), device, device),
	}
}

func valueOf(i int64) float64 { return float64(i*7919%1000) / 10 }

func stepOf(all int64) int64 { return (benchDays * 24 * time.Hour).Microseconds() / all }

func (s said) message() message.Message {
	return message.Message{
		Origin:  message.Origin{Topic: s.topic, Source: s.source, Received: s.received},
		Payload: s.payload, About: s.about,
	}
}

// recordFor records by one way for as long as one measurement takes.
func recordFor(o options, way string) (figures, error) {
	dir, err := os.MkdirTemp("", "trellis-bench-record-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	switch way {
	case byAppend:
		return appendFor(o, dir)
	case bySQL:
		return insertFor(o, dir)
	}
	if _, err := exec.LookPath("sqlite3"); err != nil {
		return nil, nil
	}
	return shellFor(o, dir)
}

func appendFor(o options, dir string) (_ figures, err error) {
	ctx := context.Background()
	store, err := history.Open(ctx, dir, history.Config{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return batches(o, func(from int64) error {
		batch := make([]message.Message, recordBatch)
		for i := range batch {
			batch[i] = saying(from+int64(i), 10_000_000).message()
			batch[i].ID = fmt.Sprintf("bench-%d", from+int64(i))
		}
		return store.Append(ctx, batch)
	})
}

// insertFor puts the same rows in the same table, and knows nothing of readings, doubles or sums.
func insertFor(o options, dir string) (_ figures, err error) {
	db, err := openSQL(filepath.Join(dir, "plain.db"), "journal_mode(WAL)", "synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.Exec(plainTable); err != nil {
		return nil, err
	}
	return batches(o, func(from int64) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		put, err := tx.Prepare(`INSERT INTO messages (uid, received, topic, source, about, payload) VALUES (?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer put.Close()
		for i := from; i < from+recordBatch; i++ {
			s := saying(i, 10_000_000)
			if _, err := put.Exec(fmt.Sprintf("bench-%d", i), s.received.UnixMicro(), s.topic, s.source, s.about, s.payload); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
}

// plainTable is the table of messages as history has it.
const plainTable = `CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT UNIQUE, received INTEGER NOT NULL, topic TEXT NOT NULL,
	source TEXT NOT NULL, about TEXT NOT NULL, payload BLOB NOT NULL);
	CREATE INDEX messages_topic ON messages (topic); CREATE INDEX messages_received ON messages (received);`

func openSQL(file string, pragmas ...string) (*sql.DB, error) {
	query := url.Values{}
	for _, p := range pragmas {
		query.Add("_pragma", p)
	}
	db, err := sql.Open("sqlite", "file:"+file+"?"+query.Encode())
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// batches records again and again until the time is over.
func batches(o options, one func(from int64) error) (figures, error) {
	began, n := time.Now(), int64(0)
	for time.Since(began) < o.load {
		if err := one(n); err != nil {
			return nil, err
		}
		n += recordBatch
	}
	return figures{delivered: float64(n) / time.Since(began).Seconds()}, nil
}

// shellFor has sqlite3 itself read the same inserts: a program in C, and none of ours beside it.
func shellFor(_ options, dir string) (figures, error) {
	const n = 100 * recordBatch
	var script bytes.Buffer
	for i := int64(0); i < n; i++ {
		if i%recordBatch == 0 {
			script.WriteString("BEGIN;\n")
		}
		s := saying(i, 10_000_000)
		fmt.Fprintf(&script, "INSERT INTO messages (uid, received, topic, source, about, payload) VALUES ('bench-%d', %d, '%s', '%s', '%s', '%s');\n",
			i, s.received.UnixMicro(), s.topic, s.source, s.about, s.payload)
		if (i+1)%recordBatch == 0 {
			script.WriteString("COMMIT;\n")
		}
	}
	file := filepath.Join(dir, "shell.db")
	if out, err := exec.Command("sqlite3", file, "PRAGMA journal_mode=WAL;"+plainTable).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("sqlite3: %w: %s", err, out)
	}
	shell := exec.Command("sqlite3", "-cmd", "PRAGMA synchronous=FULL", file)
	shell.Stdin = &script
	began := time.Now()
	if out, err := shell.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("sqlite3: %w: %s", err, out)
	}
	return figures{delivered: n / time.Since(began).Seconds()}, nil
}
