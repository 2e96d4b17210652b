package history

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHeardIsWhatTheDeviceSaid(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	for n := range 5 {
		mustAppend(t, s, at(fmt.Sprint(n), minute(n), `{"t":1}`))
	}
	by := at("hand", minute(7), `{"t":1}`)
	by.Payload = []byte(`{"data":{"t":1},"context":{"by":"page"}}`)
	operator := at("operator", minute(8), `{"t":1}`)
	operator.Source = "acme:local:operator"
	other := at("other", minute(9), `{"t":1}`)
	other.About = "gate"
	mustAppend(t, s, by, operator, other)
	got, err := s.Heard(context.Background(), Speaker{"acme/local/SHED/publish", "shed"}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Time{minute(2), minute(3), minute(4)}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A device that counts its pages speaks of no page of ours.
func TestADeviceThatSaysPageIsHeard(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	printer := at("1", noon, `{"size":"page"}`)
	printer.Payload = []byte(`{"data":{"size":"page"},"source":"acme:local:shed"}`)
	person := at("2", noon.Add(time.Minute), `{"size":"page"}`)
	person.Payload = []byte(`{"data":{"t":1},"context":{"by":"page"}}`)
	mustAppend(t, s, printer, person)
	heard, err := s.Heard(context.Background(), Speaker{printer.Topic, printer.About}, 10)
	if err != nil || len(heard) != 1 || !heard[0].Equal(noon) {
		t.Errorf("heard %v, %v; want the device and not the person", heard, err)
	}
}
