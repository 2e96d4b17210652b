package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Reasons of a gap.
const (
	GapStopped  = "stopped"  // the server did not run
	GapUpstream = "upstream" // there was no link to another service's broker
	GapUnheard  = "unheard"  // nobody had us listen to that service: no page was open, or pages went to it past us
	GapFull     = "full"     // the disk was full
	GapFailing  = "failing"  // the record could not be written for another reason
)

// Gap is a time in which nothing could be recorded of what was said.
type Gap struct {
	Whose  string // id of the key whose messages are missing; empty: everybody's
	Reason string
	Began  time.Time
	Ended  time.Time // zero: it lasts
}

// MaxGaps is how many [Store.Gaps] gives at most.
const MaxGaps = 1000

const (
	aliveEvery = 20 * time.Second // how much of a gap after a crash may be taken for silence
	leastGap   = 30 * time.Second // what is shorter is no gap: a restart is, also after a crash
	lastNoted  = 2 * time.Second  // that an end may take to note that it is one
	gapsOfKey  = 5000             // that are kept of one key
)

// Resume notes when the server last recorded, if that is a while ago, as a gap. Call it once, before anything is recorded.
//
// What a crash has left in the write-ahead log goes into the file first. Some of it may have been read from the system's memory and never have
// reached the disk, if a sync had failed: what would be recorded behind it could not be found after a power cut.
func (s *Store) Resume(ctx context.Context) error {
	if err := s.write.fold(ctx); err != nil {
		return fmt.Errorf("make safe what is on record: %w", err)
	}
	now := s.clock()
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		var last int64
		err := tx.QueryRowContext(ctx, `SELECT at FROM alive`).Scan(&last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		// What had not ended when the server did ends with it: that gap is the server's own.
		if _, err := tx.ExecContext(ctx, `UPDATE gaps SET ended = max(began, ?) WHERE ended IS NULL`, last); err != nil {
			return err
		}
		if last > 0 && now.Sub(fromStamp(last)) >= leastGap {
			if _, err := tx.ExecContext(ctx, `INSERT INTO gaps (whose, reason, began, ended) VALUES ('', ?, ?, ?)`, GapStopped, last, stamp(now)); err != nil {
				return err
			}
		}
		return setAlive(ctx, tx, now)
	})
	if err != nil {
		return fmt.Errorf("note the time without a record: %w", err)
	}
	return nil
}

func setAlive(ctx context.Context, tx *sql.Tx, at time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO alive (one, at) VALUES (1, ?1) ON CONFLICT DO UPDATE SET at = ?1`, stamp(at))
	return err
}

// keepAlive notes again and again until ctx ends that recording goes on, and then when it ended, so that the next start knows how long it was off.
func (s *Store) keepAlive(ctx context.Context) {
	every := time.NewTicker(aliveEvery)
	defer every.Stop()
	noted := s.clock()
	for {
		select {
		case <-ctx.Done():
			late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastNoted)
			defer cancel()
			if err := s.stayAlive(late, noted); err != nil {
				s.log.WarnContext(late, "history cannot note when it ended", "err", err)
			}
			return
		case <-every.C:
		}
		if err := s.stayAlive(ctx, noted); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "history cannot note that it goes on", "err", err)
		}
		noted = s.clock() // afterwards: to wait for whoever writes is no gap
	}
}

// stayAlive notes that recording goes on. Where the clock says that much more time has passed since that was noted than we waited, the machine
// slept, or its clock stood still while it was off and has been set now: nothing was recorded meanwhile.
func (s *Store) stayAlive(ctx context.Context, noted time.Time) error {
	now := s.clock()
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if now.Round(0).Sub(noted.Round(0)) >= aliveEvery+leastGap {
			if _, err := tx.ExecContext(ctx, `INSERT INTO gaps (whose, reason, began, ended) VALUES ('', ?, ?, ?)`, GapStopped, stamp(noted), stamp(now)); err != nil {
				return err
			}
		}
		return setAlive(ctx, tx, now)
	})
}

// BeginGap notes that messages are missing from now on. A gap of the same key and reason that lasts already goes on.
func (s *Store) BeginGap(ctx context.Context, whose, reason string, at time.Time) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO gaps (whose, reason, began) SELECT ?1, ?2, ?3
			WHERE NOT EXISTS (SELECT 1 FROM gaps WHERE whose = ?1 AND reason = ?2 AND ended IS NULL)`, whose, reason, stamp(at))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM gaps WHERE whose = ?1 AND id IN (
			SELECT id FROM gaps WHERE whose = ?1 ORDER BY began DESC LIMIT -1 OFFSET ?2)`, whose, gapsOfKey)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin a gap: %w", err)
	}
	return nil
}

// EndGap notes that they come again. One that was too short to matter is forgotten, but not that of a full disk: what came at QoS 0
// meanwhile may be lost.
func (s *Store) EndGap(ctx context.Context, whose, reason string, at time.Time) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM gaps WHERE whose = ? AND reason = ? AND ended IS NULL AND began > ? AND reason <> ?`,
			whose, reason, stamp(at.Add(-leastGap)), GapFull); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE gaps SET ended = max(began, ?3) WHERE whose = ?1 AND reason = ?2 AND ended IS NULL`, whose, reason, stamp(at))
		return err
	})
	if err != nil {
		return fmt.Errorf("end a gap: %w", err)
	}
	return nil
}

// Gaps gives those of a key and everybody's that touch the time from from to to, oldest first: the newest where there are too many.
func (s *Store) Gaps(ctx context.Context, whose string, from, to time.Time) ([]Gap, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT whose, reason, began, ended FROM gaps
		WHERE whose IN ('', ?1) AND began < ?3 AND (ended IS NULL OR ended > ?2) ORDER BY began DESC LIMIT ?4`, whose, stamp(from), stamp(to), MaxGaps)
	if err != nil {
		return nil, fmt.Errorf("read gaps: %w", err)
	}
	defer rows.Close()
	var all []Gap
	for rows.Next() {
		var g Gap
		var began int64
		var ended sql.NullInt64
		if err := rows.Scan(&g.Whose, &g.Reason, &began, &ended); err != nil {
			return nil, fmt.Errorf("read gaps: %w", err)
		}
		g.Began, g.Ended = fromStamp(began), fromNull(ended)
		all = append(all, g)
	}
	slices.Reverse(all)
	return all, rows.Err()
}
