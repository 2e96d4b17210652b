package history

import (
	"context"
	"testing"
)

func TestWhatIsRecordedIsCounted(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, batchOf("a", 3)...)
	mustAppend(t, s, batchOf("b", 2)...)
	mustAppend(t, s)
	if got := s.Stats(); got.Messages != 5 || got.Batches != 2 || got.Took <= 0 || got.Failed != 0 {
		t.Errorf("%+v", got)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Append(over, batchOf("c", 1)); err == nil || s.Stats().Failed != 0 {
		t.Errorf("given up: %v, %+v", err, s.Stats())
	}
	if _, err := s.write.db.Exec(`DROP TABLE messages`); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), batchOf("d", 1)); err == nil || s.Stats().Failed != 1 || s.Stats().Messages != 5 {
		t.Errorf("not recorded: %v, %+v", err, s.Stats())
	}
}
