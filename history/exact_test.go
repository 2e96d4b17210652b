package history

import (
	"fmt"
	"testing"
	"time"

	"trellis/message"
)

// Whoever lets a busy value cross its limit every other minute must not have one answer read all that it said.
func TestOnlySoManyMessagesAreReadToDateWhatWasBeyond(t *testing.T) {
	const minutes, each = 40, exactLook * 9 / 10 // what comes in the five seconds after a minute is read too
	s := openStore(t, t.TempDir(), Config{})
	began := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	from := message.Origin{Topic: "home/local/K/publish", Source: "home:local:shed", Entity: "shed"}
	for m := range minutes {
		var batch []message.Message
		for n := range each {
			from.Received = began.Add(time.Duration(m)*time.Minute + time.Duration(n)*time.Minute/each)
			value := 10
			if m%2 == 1 && n >= each/2 {
				value = 40
			}
			batch = append(batch, message.Normalise(fmt.Appendf(nil, `{"data":{"temp_c":%d}}`, value), from, func(string) bool { return false })...)
		}
		if err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	high := 30.0
	found, more, err := s.Passed(t.Context(), func(string) bool { return true }, []Limit{{About: "shed", Reading: "temp_c", High: &high}}, began, began.Add(minutes*time.Minute))
	if err != nil || more || len(found) != minutes/2 {
		t.Fatal(len(found), more, err)
	}
	if newest := found[0].From; newest.Second() != 29 && newest.Second() != 30 {
		t.Errorf("the newest is not dated by its messages: %s", newest)
	}
	if oldest := found[len(found)-1].From; oldest.Second() != 0 {
		t.Errorf("the oldest is dated by its messages: %s", oldest)
	}
}
