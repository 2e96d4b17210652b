package history

import (
	"context"
	"database/sql"
)

// removed is what a sweep took from each topic.
type removed map[string]amount

func (r removed) total() (sum amount) {
	for _, a := range r {
		sum = sum.plus(a)
	}
	return sum
}

// most is the topic from which most bytes were taken.
func (r removed) most() (topic string) {
	for t, a := range r {
		if a.bytes > r[topic].bytes || topic == "" {
			topic = t
		}
	}
	return topic
}

func (a amount) plus(b amount) amount { return amount{a.messages + b.messages, a.bytes + b.bytes} }

// stretch is messages of one topic that are to be removed: those up to last.
type stretch struct {
	topic string
	last  int64
	amount
}

// removeOldest removes the oldest messages of each topic until so much of it is gone, and none that is the newest of a reading.
// It adds to gone what it removed.
func (s *Store) removeOldest(ctx context.Context, excess map[string]int64, measure func(amount) int64, gone removed) error {
	var together []stretch // stretches of many topics share a transaction: each of those waits for the disk
	var sum amount
	for topic, want := range excess {
		for last := int64(0); want > 0; {
			piece, err := s.oldest(ctx, topic, last, want, measure)
			if err != nil {
				return err
			}
			if piece.messages == 0 {
				break
			}
			want, last = want-measure(piece.amount), piece.last
			together, sum = append(together, piece), sum.plus(piece.amount)
			if sum.messages < sweepRows && sum.bytes < sweepBytes {
				continue
			}
			if err := s.removeAll(ctx, together, gone); err != nil {
				return err
			}
			together, sum = together[:0], amount{}
		}
	}
	return s.removeAll(ctx, together, gone)
}

// oldest finds the next few messages of a topic that may go. The reader does, so that walking over what stays does not hold the
// writer.
func (s *Store) oldest(ctx context.Context, topic string, after, want int64, measure func(amount) int64) (stretch, error) {
	piece := stretch{topic: topic}
	rows, err := s.read.QueryContext(ctx, `SELECT id, length(payload) FROM messages WHERE topic = ? AND id > ?
		AND NOT EXISTS (SELECT 1 FROM latest WHERE message = messages.id) ORDER BY id LIMIT ?`, topic, after, sweepRows)
	if err != nil {
		return piece, err
	}
	defer rows.Close()
	for measure(piece.amount) < want && piece.bytes < sweepBytes && rows.Next() {
		var size int64
		if err := rows.Scan(&piece.last, &size); err != nil {
			return piece, err
		}
		piece.amount = piece.plus(amount{1, size})
	}
	return piece, rows.Err()
}

func (s *Store) removeAll(ctx context.Context, stretches []stretch, gone removed) error {
	if len(stretches) == 0 {
		return nil
	}
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		for _, piece := range stretches {
			_, err := tx.ExecContext(ctx, `DELETE FROM messages WHERE topic = ? AND id <= ?
				AND NOT EXISTS (SELECT 1 FROM latest WHERE message = messages.id)`, piece.topic, piece.last)
			if err != nil {
				return err
			}
			if err := noteSwept(ctx, tx, piece.topic, piece.last); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, piece := range stretches {
		gone[piece.topic] = gone[piece.topic].plus(piece.amount)
	}
	return nil
}
