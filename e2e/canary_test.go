package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trellis/e2e/wire"
)

// traces are the forms in which a secret could be lying about.
func traces(secret string) map[string][]byte {
	parts := strings.Split(secret, ".")
	signature := parts[len(parts)-1]
	found := map[string][]byte{
		"as it is":       []byte(secret),
		"its signature":  []byte(signature),
		"in hex":         []byte(hex.EncodeToString([]byte(secret))),
		"in URL letters": []byte(url.QueryEscape(secret)),
	}
	if raw, err := base64.RawURLEncoding.DecodeString(signature); err == nil && len(raw) >= 32 {
		found["the bytes of its signature"] = raw
	}
	for shift := range 3 { // base64 looks different at each of three alignments
		inner := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		found["in base64, shifted by "+string(rune('0'+shift))] = []byte(inner[8 : len(inner)-8])
	}
	return found
}

func TestKeysLeaveNoTrace(t *testing.T) {
	s := start(t, "--log-level", "debug")
	good, gone := s.addKey("shed"), s.addKey("barn")
	wrong := good
	wrong.Key = good.Key[:len(good.Key)-43] + strings.Repeat("Q", 43)
	page := s.browser()
	s.useEverywhere(page, good)
	s.useEverywhere(page, wrong)
	s.revoke("barn")
	s.useEverywhere(page, gone)
	page.enter()
	page.do(http.MethodGet, "/", "")
	_, code, _ := strings.Cut(s.link, "#")
	listed, errs, _ := trellis(t, "key", "list", "--json", "--data", s.data)
	s.kill() // so that nothing is tidied away

	places := s.places(page, code)
	places["key list"] = []byte(listed + errs)
	leftNoTrace(t, places, map[string]string{"a good key": good.Key, "a wrong key": wrong.Key, "a revoked key": gone.Key, "the operator's code": code})
}

// A front has to hold the keys of the other service, and shows them to it and to its broker.
func TestKeysOfAnotherServiceLeaveNoTrace(t *testing.T) {
	back := start(t, "--log-level", "debug")
	good, gone := back.addKey("shed"), back.addKey("barn")
	wrong := good
	wrong.Key = good.Key[:len(good.Key)-43] + strings.Repeat("Q", 43)
	front := back.inFront(t, "--log-level", "debug")
	page := front.browser()
	front.useEverywhere(page, good)
	page.signIn(good)
	live := page.live()
	must(t, live.Subscribe(1, good.topic("publish")))
	front.linkUp(1)
	must(t, live.Publish(wire.Message{Topic: good.topic("publish"), QoS: 1, Payload: []byte(`{"n":1}`)}))
	leaver := front.browser()
	leaver.signIn(gone)
	must(t, leaver.live().Subscribe(1, gone.topic("publish")))
	front.linkUp(2)
	back.revoke("barn")
	if front.errs.wait("the service it belongs to refuses it", prompt, front.gone) == nil {
		t.Errorf("the revoked key is still held:\n%s", front.errs)
	}
	front.useEverywhere(page, wrong)
	front.useEverywhere(page, gone)
	back.kill() // failures are where words are made of what was at hand
	front.useEverywhere(page, good)
	front.kill()
	_, code, _ := strings.Cut(front.link, "#")
	leftNoTrace(t, front.places(page, code), map[string]string{"a good key": good.Key, "a wrong key": wrong.Key, "a revoked key": gone.Key})
}

// places are all that a server printed, answered and left behind.
func (s *server) places(page *browser, code string) map[string][]byte {
	s.t.Helper()
	places := map[string][]byte{
		"stdout": []byte(strings.ReplaceAll(s.out.String(), code, "")), "stderr": []byte(s.errs.String()),
		"answers": []byte(page.seen.String()),
	}
	must(s.t, filepath.WalkDir(s.data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		places[path], err = os.ReadFile(path)
		return err
	}))
	return places
}

func leftNoTrace(t *testing.T, places map[string][]byte, secrets map[string]string) {
	t.Helper()
	for owner, secret := range secrets {
		for form, trace := range traces(secret) {
			for place, content := range places {
				if len(trace) >= 8 && bytes.Contains(content, trace) {
					t.Errorf("%s is in %s (%s)", owner, place, form)
				}
			}
		}
	}
}

// useEverywhere shows a key at every door, in its place and in wrong ones.
func (s *server) useEverywhere(page *browser, k key) {
	s.t.Helper()
	for _, address := range []string{s.mqtt, s.ws} {
		if address == "" {
			continue // a front has no doors for devices
		}
		swapped := k.login("")
		swapped.User, swapped.Password = k.Key, k.JTI
		named := k.login("")
		named.ClientID = k.Key
		for _, login := range []wire.Login{swapped, named, k.login("#canary")} {
			c, err := wire.Open(s.t.Context(), address, login)
			if err != nil {
				continue
			}
			_ = c.Subscribe(1, k.topic("messages"), k.Key)
			_ = c.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(`{"n":1}`)})
			mistaken := k.place("/") + "/" + k.Key + "/publish" // whoever takes the key for its id
			_ = c.Send(wire.Message{Topic: mistaken, QoS: 1, ID: 9, Payload: []byte("x")}.Packet())
			_, _ = c.Ended(prompt / 20)
			_ = c.Close()
		}
	}
	page.do(http.MethodGet, "/api/claims", "", "Authorization", "Bearer "+k.Key)
	page.do(http.MethodGet, "/api/claims?key="+url.QueryEscape(k.Key), "")
	page.do(http.MethodGet, "/"+k.Key, "")
	for _, accept := range []string{"application/json", "text/html"} {
		page.post("/session", url.Values{"key": {k.Key}}, "Accept", accept)
		page.do(http.MethodGet, "/", "", "Accept", accept)
		page.post("/enter", url.Values{"code": {k.Key}}, "Accept", accept)
	}
	page.post("/session/end", nil)
}
