package history

import (
	"context"
	"fmt"
	"slices"
	"time"

	"trellis/message"
)

// Speaker is an entity as it is heard on one topic.
type Speaker struct{ Topic, About string }

// What Heard looks at in the end, however seldom a speaker is heard on its topic and however much it says.
const (
	heardWalk  = 20_000
	heardBytes = 16 << 20
)

// Heard gives the moments at which the newest messages of a speaker came, at most so many, the oldest first. What a person sent is no
// sign of life of a device.
func (s *Store) Heard(ctx context.Context, of Speaker, most int) ([]time.Time, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT received, source, length(payload), CASE WHEN instr(payload, CAST('"page"' AS BLOB)) THEN payload END
		FROM messages WHERE topic = ?1 AND about = ?2 AND id > coalesce((SELECT id FROM messages WHERE topic = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?3), 0)
		ORDER BY id DESC`, of.Topic, of.About, heardWalk)
	if err != nil {
		return nil, fmt.Errorf("when %s was heard: %w", of.About, err)
	}
	defer rows.Close()
	var heard []time.Time
	for looked := 0; len(heard) < most && looked < heardBytes && rows.Next(); {
		var at int64
		var size int
		var source string
		var payload []byte // nil where a look shows that no page sent it
		if err := rows.Scan(&at, &source, &size, &payload); err != nil {
			return nil, fmt.Errorf("when %s was heard: %w", of.About, err)
		}
		looked += size
		if !message.ByHand(source, payload) {
			heard = append(heard, fromStamp(at))
		}
	}
	slices.SortFunc(heard, time.Time.Compare)
	return heard, rows.Err()
}
