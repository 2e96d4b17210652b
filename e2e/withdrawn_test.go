package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"trellis/e2e/wire"
)

func TestKeyThatWasWithdrawnWhileTheFrontWasAwayIsNoUse(t *testing.T) {
	back := start(t)
	k, other := back.addKey("shed"), back.addKey("barn")
	front := back.inFront(t)
	person, neighbour := front.browser(), front.browser()
	person.signIn(k)
	neighbour.signIn(other)
	must(t, person.live().Subscribe(1, k.topic("publish")))
	must(t, neighbour.live().Subscribe(1, other.topic("publish")))
	front.linkUp(2)
	if code := front.stop(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	back.revoke("shed")
	front.startFront()
	if front.errs.wait("the service it belongs to refuses it", prompt, front.gone) == nil {
		t.Fatalf("the key is still held:\n%s", front.errs)
	}
	if r := person.do(http.MethodGet, "/", ""); !strings.Contains(r.body, "was withdrawn") {
		t.Errorf("who had signed in with it sees %s", r.Status)
	}
	if socket, _, err := wire.DialSocket(t.Context(), "ws://"+front.listen+"/live", person.liveHeader()); err == nil {
		_, err = socket.Message()
		_ = socket.Close()
		wantEnd(t, err, 4003)
	}
	if r := front.browser().post("/session", url.Values{"key": {k.Key}}); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("signing in with it: %s", r.Status)
	}
	if r := neighbour.do(http.MethodGet, "/", ""); r.StatusCode != http.StatusOK {
		t.Errorf("who has another key sees %s", r.Status)
	}
}
