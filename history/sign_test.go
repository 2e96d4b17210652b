package history

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trellis/message"
)

func TestSignsOfLife(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	beat := at("beat", minute(3), `null`)
	by := at("hand", minute(7), `{"t":1}`)
	by.Payload = []byte(`{"data":{"t":1},"context":{"by":"page"}}`)
	kept := at("kept", minute(8), `{"t":1}`)
	kept.Kept = true
	nobody := at("nobody", minute(9), `{"t":1}`)
	nobody.About = ""
	gate := at("gate", minute(2), `{"t":1}`)
	gate.About = "gate"
	mustAppend(t, s, at("1", minute(1), `{"t":1}`), beat, gate)
	mustAppend(t, s, by, kept, nobody, at("late", minute(0), `{"t":1}`))
	got, err := s.Signs(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	const topic = "acme/local/SHED/publish"
	want := []Sign{{Speaker{topic, "gate"}, minute(2)}, {Speaker{topic, "shed"}, minute(3)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := s.Signs(context.Background(), func(string) bool { return false }); err != nil || len(got) != 0 {
		t.Errorf("%v, %v of a topic that is not wanted", got, err)
	}
}

func TestSignsOfATopicAreBounded(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	var all []message.Message
	for n := range maxSigns + 50 {
		m := at(fmt.Sprint(n), noon.Add(time.Duration(n)*time.Second), `{"t":1}`)
		m.About = fmt.Sprint("probe", n)
		all = append(all, m)
	}
	mustAppend(t, s, all...)
	if n := count(t, s, "signs"); n != maxSigns {
		t.Errorf("%d signs, want %d", n, maxSigns)
	}
	if n := count(t, s, "signs WHERE about = 'probe0'"); n != 0 {
		t.Error("the longest silent has stayed")
	}
}

func TestWhatIsNormal(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	ctx := context.Background()
	set := func(board, entity string, normal bool) {
		t.Helper()
		if err := s.SetNormal(ctx, board, entity, normal); err != nil {
			t.Fatal(err)
		}
	}
	set("acme:local:", "door", true)
	set("acme:local:", "pump", true)
	set("acme:local:door", "door", false)
	set("other:local:", "well", true)
	got, err := s.Normal(ctx, "acme:local:", "acme:local:door")
	if diff := cmp.Diff(map[string]bool{"door": false, "pump": true}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for n := range maxNormal - 2 {
		set("acme:local:", fmt.Sprint(n), true)
	}
	set("acme:local:", "door", false)
	if err := s.SetNormal(ctx, "acme:local:", "one more", true); !errors.Is(err, ErrNormalEnough) {
		t.Errorf("%v when there is no room", err)
	}
}
