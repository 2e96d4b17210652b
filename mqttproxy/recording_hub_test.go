package mqttproxy

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trellis/access"
)

// recordingSource is a fakeSource that knows whether it is recorded.
type recordingSource struct {
	fakeSource
	mu  sync.Mutex
	now Recording
}

func (r *recordingSource) Recording(access.Grant) Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *recordingSource) becomes(now Recording) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = now
}

func TestAPageIsToldWhetherWhatItSeesIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &recordingSource{}
		h := NewHub(Config{Source: source})
		h.Start()
		p := open(t, h, testGrant(), true)
		told := func() int {
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			return strings.Count(string(p.got), `"record"`)
		}
		last := func(want string) {
			t.Helper()
			if told(); !strings.HasSuffix(string(p.got), want) {
				t.Errorf("it is told %q", p.got)
			}
		}
		if told() != 1 { // what the page was printed with may be over
			t.Errorf("told %d times when it came", told())
		}
		time.Sleep(time.Hour)
		source.becomes(Recording{Why: "full", Since: time.Now()})
		time.Sleep(2 * watchEvery)
		last(`{"record":{"why":"full","since":"2000-01-01T01:00:00Z"}}`)
		time.Sleep(time.Hour)
		source.becomes(Recording{})
		time.Sleep(2 * watchEvery)
		last(`{"record":{"why":""}}`)
		if told() != 3 {
			t.Errorf("told %d times", told())
		}
		p.leave()
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
