package history

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Stats counts what a Store recorded since it was opened.
type Stats struct {
	Messages uint64        // that are safe now, those that had been recorded before included
	Batches  uint64        // in so many transactions
	Took     time.Duration // all of them together, the wait for the disk and for other writers included
	Failed   uint64        // transactions that were not recorded
	Unread   uint64        // messages that are recorded without their readings, since reading them failed
}

// counts are the numbers behind [Stats].
type counts struct {
	messages, batches, failed, unread atomic.Uint64
	took                              atomic.Int64
}

// note counts one call of Append. One that its caller gave up is no failure.
func (c *counts) note(messages int, took time.Duration, err error) {
	switch {
	case errors.Is(err, context.Canceled):
		return
	case err != nil:
		c.failed.Add(1)
		return
	}
	c.messages.Add(uint64(messages))
	c.batches.Add(1)
	c.took.Add(int64(took))
}

// Stats tells what was recorded so far.
func (s *Store) Stats() Stats {
	return Stats{
		Messages: s.counts.messages.Load(), Batches: s.counts.batches.Load(),
		Took: time.Duration(s.counts.took.Load()), Failed: s.counts.failed.Load(), Unread: s.counts.unread.Load(),
	}
}
