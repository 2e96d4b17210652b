package mqttproxy

import (
	"testing"
	"testing/synctest"

	"trellis/access"
)

// needed is a Source of several links that counts who needs one.
type needed struct {
	fakeSource
	now, ever int
}

func (n *needed) StateOf(access.Grant) State { return State{} }

func (n *needed) Need(access.Grant) (release func()) {
	n.now, n.ever = n.now+1, n.ever+1
	return func() { n.now-- }
}

// What waits at another service's broker for a page comes as soon as the link is there: before the page listens it would be missed.
func TestALinkIsNeededOnceThePageListens(t *testing.T) {
	for name, say := range map[string]func(p *page){
		"it subscribes": func(p *page) { p.subscribe(1, testGrant().Subscribe[0]); p.subscribe(1, testGrant().Subscribe[0]) },
		"it publishes":  func(p *page) { p.say(publishPacket(testGrant().Publish[0], "x", 0, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &needed{}
				h := NewHub(Config{Source: source})
				h.Start()
				p := open(t, h, testGrant(), true)
				synctest.Wait()
				if source.ever != 0 {
					t.Error("a link was needed before the page listened")
				}
				say(p)
				synctest.Wait()
				if source.now != 1 || source.ever != 1 {
					t.Errorf("needed %d times, now %d", source.ever, source.now)
				}
				p.leave()
				synctest.Wait()
				if source.now != 0 {
					t.Error("the link is still needed when the page has left")
				}
				_ = h.Close(t.Context())
			})
		})
	}
}
