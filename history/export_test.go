package history

import (
	"fmt"
	"testing"
	"time"

	"trellis/message"
)

// walkAll takes piece after piece, and holds each to what it may be.
func walkAll(t *testing.T, s *Store, wanted func(string) bool, of WalkOf) (all []Record, pieces int) {
	t.Helper()
	for {
		piece, err := s.Walk(t.Context(), wanted, of)
		if err != nil {
			t.Fatal(err)
		}
		if held := s.read.Stats().InUse; held != 1 { // the one that looks for changes
			t.Fatalf("%d connections are held between pieces", held-1)
		}
		all = append(all, piece.Messages...)
		if pieces++; piece.Next == 0 {
			return all, pieces
		}
		if piece.Next <= of.After {
			t.Fatalf("the piece after %d has %d next", of.After, piece.Next)
		}
		of.After = piece.Next
	}
}

// said is a message about an entity.
func said(topic, about, data string, at time.Time) message.Message {
	return message.Message{
		Origin: message.Origin{Topic: topic, Source: "a:b:" + about, Entity: about, Received: at}, About: about, Data: []byte(data),
		Payload: fmt.Appendf(nil, `{"data":%s,"context":{"received":%q}}`, data, at.Format(time.RFC3339Nano)),
	}
}

func TestAWalkGivesEverythingOnceInItsOrder(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	start := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	var batch []message.Message
	for n := range 9000 {
		at := start.Add(time.Duration(n) * time.Second)
		batch = append(batch,
			said(fmt.Sprintf("a/b/k%d/publish", n%3), "shed", fmt.Sprintf(`{"n":%d}`, n), at),
			said("a/b/k1/publish", "gate", `{"secret":1}`, at),
			said("a/b/foreign/publish", "shed", `{"n":-1}`, at))
	}
	if err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	mine := func(topic string) bool { return topic != "a/b/foreign/publish" }
	for name, tt := range map[string]struct {
		of          WalkOf
		first, want int
	}{
		"all of an entity":   {WalkOf{About: "shed"}, 0, 9000},
		"of a reading":       {WalkOf{About: "shed", Reading: "n"}, 0, 9000},
		"of no such reading": {WalkOf{About: "shed", Reading: "secret"}, 0, 0},
		"of nobody":          {WalkOf{About: "nobody"}, 0, 0},
		"between two times":  {WalkOf{About: "shed", From: start.Add(100 * time.Second), To: start.Add(200 * time.Second)}, 100, 100},
		"of a time before":   {WalkOf{About: "shed", To: start}, 0, 0},
		"of a time to come":  {WalkOf{About: "shed", From: start.Add(1000 * time.Hour)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			all, pieces := walkAll(t, s, mine, tt.of)
			if len(all) != tt.want {
				t.Fatalf("%d messages in %d pieces, want %d", len(all), pieces, tt.want)
			}
			for i, r := range all {
				if want := start.Add(time.Duration(tt.first+i) * time.Second); !r.Received.Equal(want) || r.About != "shed" || !mine(r.Topic) {
					t.Fatalf("message %d is of %v about %s on %s, want %v", i, r.Received, r.About, r.Topic, want)
				}
			}
		})
	}
}

// A device may speak and never say a value.
func TestAWalkGivesTheMessagesOfADeviceWithoutReadings(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, said("a/b/k/publish", "mute", `{}`, noon))
	if all, _ := walkAll(t, s, nil, WalkOf{About: "mute"}); len(all) != 1 {
		t.Errorf("%d messages, want 1", len(all))
	}
	if all, _ := walkAll(t, s, nil, WalkOf{About: "mute", Reading: "n"}); len(all) != 0 {
		t.Errorf("%d messages of a value that it never said", len(all))
	}
}

func TestAPieceIsBoundedInBytes(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	start := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	long := make([]byte, 100<<10)
	for i := range long {
		long[i] = 'x'
	}
	var batch []message.Message
	for n := range 40 {
		m := said("a/b/k/publish", "shed", `{"n":1}`, start.Add(time.Duration(n)*time.Second))
		m.Payload = append(m.Payload, long...)
		batch = append(batch, m)
	}
	if err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	piece, err := s.Walk(t.Context(), nil, WalkOf{About: "shed"})
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, m := range piece.Messages {
		size += len(m.Payload)
	}
	if size > pieceBytes+2*len(long) || piece.Next == 0 {
		t.Errorf("a piece of %d bytes", size)
	}
	if all, _ := walkAll(t, s, nil, WalkOf{About: "shed"}); len(all) != 40 {
		t.Errorf("%d messages in all pieces", len(all))
	}
}
