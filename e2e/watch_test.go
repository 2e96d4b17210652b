package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// shows waits until the board of somebody who is signed in prints this; nobody opens a live page for that.
func (b *browser) shows(t *testing.T, text string) {
	t.Helper()
	for until := time.Now().Add(prompt); !strings.Contains(b.do(http.MethodGet, "/", "").body, text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("the board does not show %s: %s", text, b.do(http.MethodGet, "/", "").body)
		}
	}
}

// says sends one value of a key's device.
func (s *server) says(k key, data string) {
	s.t.Helper()
	device := s.device(k, "#probe")
	must(s.t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(`{"msg_type":"publish","data":` + data + `}`)}))
	must(s.t, device.Close())
}

func TestWatchedKeyIsRecordedWhileNoPageIsOpen(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	back := start(t)
	k, other := back.addKey("shed"), back.addKey("barn")
	front := back.inFront(t)
	holder, neighbour := front.browser(), front.browser()
	holder.signIn(k)
	neighbour.signIn(other)
	if strings.Contains(front.errs.String(), "link to the upstream broker is up") {
		t.Error("there is a link before anybody needs one")
	}
	if r := holder.post("/watch", url.Values{"on": {"yes"}}); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("turning it on: %s %s", r.Status, r.body)
	}
	front.linkUp(1)
	back.says(k, `{"night":1111}`)
	holder.shows(t, "1,111")

	page := neighbour.live() // so that the other key's link is one that was needed, too
	must(t, page.Subscribe(1, other.topic("publish")))
	front.linkUp(2)
	front.kill()
	back.says(k, `{"night":2222}`)
	front.startFront()
	holder.s, neighbour.s = front, front
	front.linkUp(2)
	holder.shows(t, "2,222")
	if front.errs.wait(`link to the upstream broker is let go\D+`+other.JTI, 90*time.Second, front.gone) == nil {
		t.Fatalf("the link that nobody needs stays:\n%s", front.errs)
	}
	back.says(k, `{"night":3333}`)
	holder.shows(t, "3,333")
	back.says(other, `{"night":4444}`)
	back.says(k, `{"night":5555}`)
	holder.shows(t, "5,555")
	if strings.Contains(neighbour.do(http.MethodGet, "/", "").body, "4,444") {
		t.Error("what nobody watches was recorded: the test shows nothing")
	}
	if n := strings.Count(front.errs.String(), "is let go"); n != 1 {
		t.Errorf("%d links were let go", n)
	}
}

// watchList is what `trellis watch --json` prints: entity, and whether it is watched.
func watchList(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out, errs, code := trellis(t, "watch", "--json", "--data", dir)
	if code != 0 {
		t.Fatalf("trellis watch: exit %d: %s", code, errs)
	}
	var rows []struct {
		Entity  string
		Watched bool
	}
	must(t, json.Unmarshal([]byte(out), &rows))
	found := map[string]bool{}
	for _, r := range rows {
		found[r.Entity] = r.Watched
	}
	return found
}

func TestOperatorWatchesOnTheCommandLine(t *testing.T) {
	back := start(t)
	k, other, third := back.addKey("shed"), back.addKey("barn"), back.addKey("loft")
	front := back.inFront(t)
	holder := front.browser()
	holder.signIn(k)
	if got := watchList(t, front.data); len(got) != 1 || got["shed"] {
		t.Errorf("held are %v", got)
	}
	out, errs, code := trellis(t, "watch", "shed", "--data", front.data)
	if code != 0 || !strings.Contains(out, "Watched from now on: "+k.JTI+" of shed") {
		t.Errorf("watch: exit %d, %s%s", code, out, errs)
	}
	front.linkUp(1)
	if board := holder.do(http.MethodGet, "/", ""); !strings.Contains(board.body, `role="switch" aria-checked="true"`) {
		t.Error("the page of its holder does not say so")
	}
	list, _, _ := trellis(t, "watch", "--data", front.data)
	if !strings.Contains(list, "shed") || !strings.Contains(list, k.JTI) || !strings.Contains(list, "yes") || strings.Contains(list, k.Key) {
		t.Errorf("the list is %s", list)
	}

	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, []byte(other.Key+"\n"), 0o600))
	if out, errs, code := trellis(t, "watch", "--key-file", file, "--data", front.data); code != 0 || !strings.Contains(out, "of barn") {
		t.Errorf("a key in a file: exit %d, %s%s", code, out, errs)
	}
	front.linkUp(2)
	if code := front.stop(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	piped := exec.Command(trellisBin, "watch", "--key-file", "-", "--data", front.data) // and without a server
	piped.Stdin = strings.NewReader(third.Key)
	if out, err := piped.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("of loft")) {
		t.Errorf("a key that is piped in: %v, %s", err, out)
	}
	front.startFront()
	front.linkUp(3)
	for _, name := range []string{"shed", other.JTI} {
		if _, errs, code := trellis(t, "watch", name, "--off", "--data", front.data); code != 0 {
			t.Errorf("off: exit %d, %s", code, errs)
		}
	}
	if got := watchList(t, front.data); len(got) != 3 || got["shed"] || got["barn"] || !got["loft"] {
		t.Errorf("held are %v", got)
	}
	if front.errs.wait(`watched"?[=:]false`, prompt, front.gone) == nil {
		t.Errorf("the server does not notice:\n%s", front.errs)
	}
}

func TestWatchingThatCannotBeIsSaid(t *testing.T) {
	back := start(t)
	front := back.inFront(t)
	bad := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(bad, []byte("no-key-at-all"), 0o600))
	open := bad + ".open"
	must(t, os.WriteFile(open, []byte("no-key-at-all"), 0o644))
	for name, tt := range map[string]struct {
		args  []string
		code  int
		words string
	}{
		"where the broker is our own": {[]string{"watch", "--data", back.data}, 1, "in front of another service"},
		"a key that nobody holds":     {[]string{"watch", "nobody", "--data", front.data}, 1, `no key called "nobody" is held here`},
		"a key that is none":          {[]string{"watch", "--key-file", bad, "--data", front.data}, 1, "does not accept that key"},
		"a file others can read":      {[]string{"watch", "--key-file", open, "--data", front.data}, 1, "can be read by others (mode 0644)"},
		"a file that is not there":    {[]string{"watch", "--key-file", bad + "x", "--data", front.data}, 1, "--key-file"},
		"off, of nothing":             {[]string{"watch", "--off", "--data", front.data}, 2, "--off needs"},
		"a name and a file":           {[]string{"watch", "x", "--key-file", bad, "--data", front.data}, 2, "not both"},
		"a folder that holds nothing": {[]string{"watch", "--data", t.TempDir()}, 1, "nothing to watch"},
	} {
		out, errs, code := trellis(t, tt.args...)
		if code != tt.code || !strings.Contains(errs, tt.words) || strings.Contains(out+errs, "no-key-at-all") {
			t.Errorf("%s: exit %d, %s%s", name, code, out, errs)
		}
	}
}
