package mqttproxy

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// deafSource answers nobody, and notes when it was asked.
type deafSource struct {
	fakeSource
	asked []time.Time
}

func (s *deafSource) Publish(ctx context.Context, _ string, _ []byte, _ byte) error {
	s.asked = append(s.asked, time.Now())
	<-ctx.Done()
	return unsureError{ctx.Err()}
}

func TestWhatIsPressedIsSentNowOrNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &deafSource{}
		h := NewHub(Config{Source: source})
		h.Start()
		p := open(t, h, testGrant(), true)
		began := time.Now()
		var presses []byte
		for id := range uint16(20) { // more than may wait
			presses = append(presses, publishPacket("acme/local/k1/publish", "{}", 1, id+1)...)
		}
		p.say(presses)
		unsure := 0
		for range 20 {
			switch said := string(p.message().payload); {
			case strings.Contains(said, unsureError{}.Sentence()):
				unsure++
			case !strings.Contains(said, lateError{}.Sentence()):
				t.Errorf("the page is told %s", said)
			}
		}
		if len(source.asked) != 1 || !source.asked[0].Equal(began) || unsure != 1 || time.Since(began) != 5*time.Second {
			t.Errorf("sent at %v, %d are unsure, all is said after %v", source.asked, unsure, time.Since(began))
		}
		p.leave()
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
