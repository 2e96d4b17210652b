package broker

import (
	"context"
	"encoding/json"
	"testing"
	"time"
)

func TestAPublishIsRecordedShownAndDelivered(t *testing.T) {
	for qos := range byte(3) {
		t.Run(string('0'+qos), func(t *testing.T) {
			h := start(t)
			seen, stop := h.watch()
			defer stop()
			to := h.login(door)
			if got := to.subscribe(1, door.messagesTopic()); got[0] != 1 {
				t.Fatalf("SUBACK %d", got[0])
			}
			from := h.login(shed)
			from.publish(shed.publishTopic(), `{"for":"house:door"}`, qos)
			if got, want := to.receive(), (delivery{door.messagesTopic(), `{"for":"house:door"}`, 1, false}); got != want {
				t.Errorf("received %+v, want %+v", got, want)
			}
			if got := take(t, seen); got.topic != shed.publishTopic() {
				t.Errorf("first shown on %q", got.topic)
			}
			if got := take(t, seen); got.topic != door.messagesTopic() {
				t.Errorf("then shown on %q", got.topic)
			}
			h.book.hold(t, 1)
			to.quietNow()
		})
	}
}

// TestOpen goes the whole way with the product's own normaliser.
func TestOpen(t *testing.T) {
	keys, book := &ring{ended: map[string]error{}}, newBook()
	b, err := Open(t.Context(), Config{Dir: t.TempDir(), SyncEvery: time.Second, Keys: keys, Record: book.record})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	if err := b.Publish(t.Context(), shed.publishTopic(), []byte(`{"msg_type":"publish","data":{"on":true},"dest":"house:door"}`), 1); err != nil {
		t.Fatal(err)
	}
	var got struct{ Source, Dest string }
	if err := json.Unmarshal([]byte(book.hold(t, 1)[0]), &got); err != nil || got.Source != "acme:eu:shed" || got.Dest != "house:door" {
		t.Errorf("recorded %+v, %v", got, err)
	}
}
