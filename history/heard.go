package history

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Speaker is an entity as it is heard on one topic.
type Speaker struct{ Topic, About string }

// Heard gives the moments at which the newest messages of a speaker came, at most so many, the oldest first. What a person sent is no
// sign of life of a device.
func (s *Store) Heard(ctx context.Context, of Speaker, most int) ([]time.Time, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT received FROM messages WHERE topic = ? AND about = ? AND source NOT LIKE ? AND instr(payload, CAST('"page"' AS BLOB)) = 0
		ORDER BY id DESC LIMIT ?`, of.Topic, of.About, "%:"+operator, most)
	if err != nil {
		return nil, fmt.Errorf("when %s was heard: %w", of.About, err)
	}
	defer rows.Close()
	var heard []time.Time
	for rows.Next() {
		var at int64
		if err := rows.Scan(&at); err != nil {
			return nil, fmt.Errorf("when %s was heard: %w", of.About, err)
		}
		heard = append(heard, fromStamp(at))
	}
	slices.SortFunc(heard, time.Time.Compare)
	return heard, rows.Err()
}
