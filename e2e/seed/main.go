// Command seed fills the record of a data folder with messages of the past, for tests of what is known only after days. The messages come as JSON lines:
//
//	echo '{"topic":"acme/local/k/publish","source":"acme:local:shed","received":"2026-05-01T12:00:00Z","payload":{"data":{"t":1}}}' | seed folder
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"trellis/history"
	"trellis/message"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: seed folder < messages")
		os.Exit(2)
	}
	if err := seed(context.Background(), os.Args[1], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "seed:", err)
		os.Exit(1)
	}
}

// line is one message as it was published.
type line struct {
	Topic    string          `json:"topic"`
	Source   string          `json:"source"`
	Entity   string          `json:"entity"`
	Received time.Time       `json:"received"`
	Payload  json.RawMessage `json:"payload"`
}

// batched is how many messages are recorded at once.
const batched = 2000

func seed(ctx context.Context, folder string, from io.Reader) (err error) {
	store, err := history.Open(ctx, folder, history.Config{Sync: time.Minute})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var batch []message.Message
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("read %q: %w", lines.Text(), err)
		}
		origin := message.Origin{Topic: l.Topic, Source: l.Source, Entity: l.Entity, Received: l.Received}
		batch = append(batch, message.Normalise(l.Payload, origin, func(string) bool { return false })...)
		if len(batch) >= batched {
			if err := store.Append(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return errors.Join(lines.Err(), store.Append(ctx, batch))
}
