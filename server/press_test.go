package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
)

// pressed stands where the hub would: it takes what is pressed, or does what a test says.
type pressed struct {
	hear func(mqttproxy.Message)
	do   func(ctx context.Context, handed func() error) error // nil takes everything

	mu   sync.Mutex
	sent []string
}

func (p *pressed) press(ctx context.Context, _ access.Grant, topic string, payload []byte, handed func() error) error {
	if p.do != nil {
		return p.do(ctx, handed)
	}
	if err := handed(); err != nil {
		return mqttproxy.NotSent(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, topic+" "+string(payload))
	return nil
}

func (p *pressed) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.sent...)
}

// holder is a browser that is signed in with a key.
func (s *site) holder(t *testing.T, entity string) *http.Client {
	t.Helper()
	b := s.browser(t)
	answer, _ := send(t, b, "POST", s.URL+"/session", url.Values{"key": {s.key(t, entity).Key}})
	if answer.StatusCode != 200 {
		t.Fatalf("sign-in: %s", answer.Status)
	}
	return b
}

// made puts a button on the board of an entity.
func (s *site) made(t *testing.T, entity string, b history.Button) history.Button {
	t.Helper()
	if b.ID == "" {
		b.ID = "b-" + entity
	}
	if b.Risk == "" {
		b.Risk = riskPlain
	}
	if b.Data == "" && b.Number == nil {
		b.Data = `{"led":"blink"}`
	}
	b.Label, b.Entity = "Do it", entity
	if err := s.store.AddButtons(t.Context(), "home:local:"+entity, b); err != nil {
		t.Fatal(err)
	}
	return b
}

const aPress = "press-0123456789abcdef"

// pressIt presses as the page's script does.
func (s *site) pressIt(t *testing.T, b *http.Client, button, id string, more ...string) (status int, a pressAnswer, body string) {
	t.Helper()
	form := url.Values{"button": {button}, "press": {id}, "version": {"1"}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	answer, body := send(t, b, "POST", s.URL+"/press", form, "Accept", "application/json")
	_ = json.Unmarshal([]byte(body), &a)
	return answer.StatusCode, a, body
}

// until asks how far a press got until it is there.
func (s *site) until(t *testing.T, b *http.Client, id, state string) (a pressAnswer) {
	t.Helper()
	for last := ""; ; last = a.State {
		_, body := send(t, b, "GET", s.URL+"/press/"+id+"?state="+last, nil, "Accept", "application/json")
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if a.State == state {
			return a
		}
		if a.State == last {
			t.Fatalf("the press stays %s, and should become %s", last, state)
		}
	}
}

func TestAPressIsSentOnceAndAnswered(t *testing.T) {
	s := newSite(t, nil)
	s.made(t, "shed", history.Button{Number: &history.Number{Name: "heat", Min: 5, Max: 30, Step: 0.5, Unit: "°C"}})
	b := s.holder(t, "shed")
	status, a, body := s.pressIt(t, b, "b-shed", aPress, "value", "19,5")
	if status != 200 || a.State != "accepted" || a.Chosen != "19.5 °C" || a.Who != "shed" {
		t.Fatalf("%d %s", status, body)
	}
	var again sync.WaitGroup
	for range 20 { // double clicks, reloads and reconnects ask for the same
		again.Go(func() {
			if status, a, body := s.pressIt(t, b, "b-shed", aPress, "value", "19.5"); status != 200 || a.ID != aPress {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	again.Wait()
	sent := s.pages.broker.all()
	if len(sent) != 1 || !strings.Contains(sent[0], `"data":{"heat":19.5}`) || !strings.Contains(sent[0], `"press":"`+aPress+`"`) || !strings.Contains(sent[0], `"dest":"shed"`) {
		t.Fatalf("sent %q", sent)
	}
	topic, _, _ := strings.Cut(sent[0], " ")
	answer := func(source string) {
		s.pages.broker.hear(mqttproxy.Message{Topic: topic, Payload: fmt.Appendf(nil, `{"data":{"answer":"heating to 19.5"},"source":%q,"context":{"answers":%q}}`, source, aPress)})
	}
	answer("home:local:barn") // somebody else's word is no answer
	if a := s.until(t, b, aPress, "accepted"); a.Heard != nil {
		t.Error("another device's message counts as the answer")
	}
	s.pages.broker.hear(mqttproxy.Message{Topic: topic, // what a person sends is no device's word, in whatever name
		Payload: fmt.Appendf(nil, `{"data":{"answer":"by hand"},"source":"home:local:shed","context":{"answers":%q,"by":"page"}}`, aPress)})
	answer("home:local:shed")
	if a := s.until(t, b, aPress, "answered"); a.Words != "heating to 19.5" || a.Heard == nil {
		t.Errorf("answered %+v", a)
	}
	answered, log := s.program(t, "GET", "/api/history/presses?limit=5", s.key(t, "shed").Key, "")
	holdTo(t, "/api/history/presses", answered, log)
	if !strings.Contains(log, aPress) || !strings.Contains(log, `"state":"answered"`) {
		t.Errorf("the log for programs is %s", log)
	}
	if answered, _ := s.program(t, "GET", "/api/history/presses?limit=0", s.key(t, "shed").Key, ""); answered.StatusCode != 400 {
		t.Errorf("nothing asked for: %s", answered.Status)
	}
	if _, page := send(t, b, "GET", s.URL+"/", nil); !strings.Contains(page, "Device answered: heating to 19.5") {
		t.Error("the page does not say how far the press got")
	}
}

func TestAButtonOffersTheNumberThatWasAcceptedLast(t *testing.T) {
	heat := &history.Number{Name: "heat", Min: -10, Max: 30, Step: 0.5, Start: 19, Unit: "°C"}
	s := newSite(t, nil)
	made := s.made(t, "shed", history.Button{Number: heat, Answer: noAnswer})
	b := s.holder(t, "shed")
	offers := func(when, number string) {
		t.Helper()
		if _, page := send(t, b, "GET", s.URL+"/", nil); !regexp.MustCompile(`(?s)name="value"[^>]* value="` + number + `"`).MatchString(page) {
			t.Errorf("%s: %s is not offered", when, number)
		} else if !regexp.MustCompile(`name="start" value="19"`).MatchString(page) {
			t.Errorf("%s: the owner's form has another number to start with", when)
		}
	}
	made.Version = 1
	offers("nobody has pressed", "19")
	s.pressIt(t, b, "b-shed", aPress, "value", "-4.5")
	s.until(t, b, aPress, "accepted")
	offers("after a press", "-4.5")
	late := history.Press{ID: aPress + "2", Board: "home:local:shed", Button: "b-shed", Entity: "shed", Chosen: "25 °C", Pressed: time.Now().Add(time.Second), State: history.PressTrying}
	if _, _, err := s.store.BeginPress(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.MovePress(t.Context(), late, history.PressTrying, history.PressNotSent); err != nil {
		t.Fatal(err)
	}
	offers("after one that was not sent", "-4.5")
	for name, other := range map[string]history.Button{
		"its range is another": {Entity: "shed", Number: &history.Number{Name: "heat", Min: 0, Max: 30, Step: 0.5, Start: 19, Unit: "°C"}},
		"its unit is another":  {Entity: "shed", Number: &history.Number{Name: "heat", Min: -10, Max: 30, Step: 0.5, Start: 19, Unit: "°F"}},
		"it is for another":    {Entity: "barn", Number: heat},
	} {
		made.Number, made.Entity = other.Number, other.Entity
		if err := s.store.ChangeButton(t.Context(), "home:local:shed", made); err != nil {
			t.Fatal(err)
		}
		made.Version++
		offers(name, "19")
	}
}

func TestManyPressesOfOneIdAtOnceAreOne(t *testing.T) {
	s := newSite(t, nil)
	s.made(t, "shed", history.Button{Answer: noAnswer})
	b := s.holder(t, "shed")
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if status, a, body := s.pressIt(t, b, "b-shed", aPress); status != 200 || a.State != "accepted" {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	all.Wait()
	if sent := s.pages.broker.all(); len(sent) != 1 {
		t.Errorf("sent %d times", len(sent))
	}
}

func TestTheAnswerMayComeBeforeTheBrokersOwn(t *testing.T) {
	s := newSite(t, nil)
	s.made(t, "shed", history.Button{Answer: "temperature"})
	key, foreign := s.key(t, "shed"), s.key(t, "shed")
	b := s.browser(t)
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {key.Key}})
	say := func(jti, about string, degrees int) {
		s.pages.broker.hear(mqttproxy.Message{Topic: "home/local/" + jti + "/publish", Parts: []string{about + "\x00temperature"},
			Payload: fmt.Appendf(nil, `{"data":{"temperature":%d}}`, degrees)})
	}
	s.pages.broker.do = func(_ context.Context, handed func() error) error {
		say(key.JTI, "shed", 16) // before it was sent
		if err := handed(); err != nil {
			return err
		}
		s.pages.broker.hear(mqttproxy.Message{Topic: "home/local/" + key.JTI + "/publish", Parts: []string{"shed\x00temperature"},
			Payload: []byte(`{"data":{"temperature":21},"context":{"by":"page"}}`)}) // of a person
		say(foreign.JTI, "shed", 17) // where the holder hears nothing
		say(key.JTI, "barn", 18)     // of another device
		say(key.JTI, "shed", 19)
		say(key.JTI, "shed", 20)
		return nil
	}
	s.pressIt(t, b, "b-shed", aPress)
	if a := s.until(t, b, aPress, "answered"); a.Words != "19 °C" {
		t.Errorf("%+v", a)
	}
}

func TestWhatIsRefused(t *testing.T) {
	night := time.Date(2026, 5, 1, 23, 30, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return night } })
	number := &history.Number{Name: "n", Min: 5, Max: 30, Step: 5}
	for _, b := range []history.Button{
		{ID: "numbered", Number: number}, {ID: "risky", Risk: riskConfirm}, {ID: "holding", Risk: riskHold}, {ID: "daily", From: 7 * 60, To: 22 * 60, Zone: "UTC"},
		{ID: "plain"}, {ID: "often", Most: 2, Per: 3600, Answer: noAnswer},
	} {
		s.made(t, "shed", b)
	}
	s.made(t, "barn", history.Button{})
	b := s.holder(t, "shed")
	at := func(ago time.Duration) string { return fmt.Sprint(night.Add(-ago).UnixMilli()) }
	for name, tt := range map[string]struct {
		button string
		form   []string
		status int
		reason string
	}{
		"no number":            {"numbered", nil, 422, "number"},
		"a number too large":   {"numbered", []string{"value", "31"}, 422, "number"},
		"a number too small":   {"numbered", []string{"value", "0"}, 422, "number"},
		"between two steps":    {"numbered", []string{"value", "12"}, 422, "number"},
		"no number at all":     {"numbered", []string{"value", "NaN"}, 422, "number"},
		"not asked":            {"risky", nil, 422, "not_sure"},
		"not held":             {"holding", nil, 422, "not_sure"},
		"at night":             {"daily", nil, 403, "hours"},
		"of an older page":     {"plain", []string{"version", "0"}, 409, "button_changed"},
		"pressed long ago":     {"plain", []string{"at", at(11 * time.Second)}, 409, "late"},
		"another board's":      {"b-barn", nil, 404, "button_unknown"},
		"nobody's":             {"none", nil, 404, "button_unknown"},
		"without an id":        {"plain", []string{"press", ""}, 400, "press_id"},
		"with a strange id":    {"plain", []string{"press", "<script>alert(1)</script>"}, 400, "press_id"},
		"with a clock of fear": {"plain", []string{"at", "soon"}, 409, "late"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, body := s.pressIt(t, b, tt.button, "id-of-"+strings.NewReplacer(" ", "-", "'", "").Replace(name)+"-xxxxxxxx", tt.form...)
			if status != tt.status || !strings.Contains(body, `"`+tt.reason+`"`) {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	if sent := s.pages.broker.all(); len(sent) != 0 {
		t.Errorf("sent all the same: %q", sent)
	}
	for i := range 3 {
		status, _, body := s.pressIt(t, b, "often", fmt.Sprint("often-often-often-", i))
		if want := []int{200, 200, 429}[i]; status != want {
			t.Errorf("press %d of 2 an hour: %d %s", i+1, status, body)
		}
	}
	if status, _, _ := s.pressIt(t, b, "risky", "asked-asked-asked", "sure", "yes"); status != 200 {
		t.Errorf("asked and answered: %d", status)
	}
}

func TestEveryBoardHasItsOwnLimitToo(t *testing.T) {
	now := time.Now()
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	s.made(t, "shed", history.Button{Answer: noAnswer})
	b := s.holder(t, "shed")
	for i := range pressBurst + 1 {
		status, _, body := s.pressIt(t, b, "b-shed", fmt.Sprint("press-of-many-many-", i))
		if want := map[bool]int{true: 429, false: 200}[i == pressBurst]; status != want {
			t.Fatalf("press %d: %d %s", i, status, body)
		}
	}
}

func TestNobodyElsePresses(t *testing.T) {
	s := newSite(t, nil)
	s.made(t, "shed", history.Button{})
	b := s.holder(t, "shed")
	form := url.Values{"button": {"b-shed"}, "press": {aPress}, "version": {"1"}}
	for name, tt := range map[string]struct {
		who     *http.Client
		headers []string
		status  int
	}{
		"a stranger":          {s.browser(t), nil, 401},
		"another site's page": {b, []string{"Origin", "https://evil.example"}, 403},
		"across sites":        {b, []string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		for _, path := range []string{"/press", "/press/undo", "/buttons", "/buttons/move", "/buttons/remove"} {
			answer, body := send(t, tt.who, "POST", s.URL+path, form, append(tt.headers, "Accept", "application/json")...)
			if answer.StatusCode != tt.status {
				t.Errorf("%s, %s: %s %s", name, path, answer.Status, body)
			}
		}
	}
	if answer, _ := send(t, b, "GET", s.URL+"/press", nil); answer.StatusCode == 200 {
		t.Error("a GET presses")
	}
	other := s.holder(t, "barn")
	s.pressIt(t, b, "b-shed", aPress)
	if answer, _ := send(t, other, "GET", s.URL+"/press/"+aPress, nil, "Accept", "application/json"); answer.StatusCode != 404 {
		t.Errorf("another board sees the press: %s", answer.Status)
	}
	if _, body := send(t, other, "GET", s.URL+"/history/presses", nil, "Accept", "application/json"); strings.Contains(body, aPress) {
		t.Error("another board sees the press in its log")
	}
}

func TestAPressThatWaitsIsNotSentWhenItsButtonHasBecomeAnother(t *testing.T) {
	s := newSite(t, nil)
	b := s.holder(t, "shed")
	made := s.made(t, "shed", history.Button{Undo: true, Answer: noAnswer})
	if status, a, body := s.pressIt(t, b, "b-shed", aPress); status != 200 && status != 202 {
		t.Fatalf("%d %v %s", status, a, body)
	}
	made.Version, made.Board, made.Data = 1, "home:local:shed", `{"led":"on"}`
	if err := s.store.ChangeButton(t.Context(), "home:local:shed", made); err != nil {
		t.Fatal(err)
	}
	s.until(t, b, aPress, "not_sent")
	if sent := s.pages.broker.all(); len(sent) > 0 {
		t.Errorf("sent: %q", sent)
	}
}

func TestOneBoardsPressesPushOutNobodyElsesAnswers(t *testing.T) {
	start := time.Now()
	s := newPresses(func() time.Time { return start })
	s.await(history.Press{Board: "a", ID: "first", Pressed: start.Add(-time.Minute)}, access.Grant{})
	for n := range 2 * mostAwaited {
		s.await(history.Press{Board: "b", ID: strconv.Itoa(n), Pressed: start.Add(time.Duration(n))}, access.Grant{})
	}
	if s.awaited[[2]string{"a", "first"}] == nil || s.awaited[[2]string{"b", strconv.Itoa(2*mostAwaited - 1)}] == nil || len(s.awaited) != mostOfBoard+1 {
		t.Errorf("%d are awaited", len(s.awaited))
	}
}

func TestAPressIsUndoneOrSentAfterItsTime(t *testing.T) {
	s := newSite(t, nil)
	s.made(t, "shed", history.Button{Undo: true, Answer: noAnswer})
	b := s.holder(t, "shed")
	_, a, body := s.pressIt(t, b, "b-shed", aPress)
	if a.State != "waiting" || a.Due == nil {
		t.Fatalf("%s", body)
	}
	answer, body := send(t, b, "POST", s.URL+"/press/undo", url.Values{"press": {aPress}}, "Accept", "application/json")
	if answer.StatusCode != 200 || !strings.Contains(body, `"undone"`) {
		t.Fatalf("%s %s", answer.Status, body)
	}
	if _, a, _ := s.pressIt(t, b, "b-shed", aPress); a.State != "undone" {
		t.Errorf("asked for again it is %s", a.State)
	}
	_, second, _ := s.pressIt(t, b, "b-shed", "press-of-another-kind")
	if a := s.until(t, b, second.ID, "accepted"); a.Settled.Sub(second.Pressed) < undoFor {
		t.Errorf("sent after %s", a.Settled.Sub(second.Pressed))
	}
	if answer, _ := send(t, b, "POST", s.URL+"/press/undo", url.Values{"press": {second.ID}}, "Accept", "application/json"); answer.StatusCode != 409 {
		t.Errorf("undone after it was sent: %s", answer.Status)
	}
	if sent := s.pages.broker.all(); len(sent) != 1 {
		t.Errorf("sent %d times", len(sent))
	}
}

func TestHowFarAPressGot(t *testing.T) {
	for name, tt := range map[string]struct {
		do    func(ctx context.Context, handed func() error) error
		state string
	}{
		"no link":   {func(context.Context, func() error) error { return mqttproxy.NotSent(errors.New("no link")) }, "not_sent"},
		"accepted":  {func(_ context.Context, handed func() error) error { return handed() }, "accepted"},
		"no answer": {func(_ context.Context, handed func() error) error { _ = handed(); return context.DeadlineExceeded }, "unsure"},
		"not wanted": {func(_ context.Context, handed func() error) error {
			_ = handed()
			return mqttproxy.RefusedError{Words: "It is for nobody."}
		}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			s.pages.broker.do = tt.do
			s.made(t, "shed", history.Button{Answer: noAnswer})
			b := s.holder(t, "shed")
			if _, a, body := s.pressIt(t, b, "b-shed", aPress); a.State != tt.state {
				t.Errorf("%s", body)
			}
		})
	}
}

func TestAPressOfAKeyThatEndsMeanwhileIsNotSent(t *testing.T) {
	s := newSite(t, nil)
	s.made(t, "shed", history.Button{Answer: noAnswer})
	key := s.key(t, "shed")
	b := s.browser(t)
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {key.Key}})
	s.pages.broker.do = func(_ context.Context, handed func() error) error {
		if _, err := s.keys.Revoke(context.Background(), key.JTI); err != nil {
			return err
		}
		if err := handed(); err != nil {
			return mqttproxy.NotSent(err)
		}
		return nil
	}
	s.pressIt(t, b, "b-shed", aPress)
	p, there, err := s.store.FindPress(t.Context(), "home:local:shed", aPress)
	if err != nil || !there || p.State != history.PressNotSent {
		t.Errorf("%+v %v %v", p, there, err)
	}
}

func TestAnAnswerIsAwaitedOverARestart(t *testing.T) {
	s := newSite(t, nil)
	s.made(t, "shed", history.Button{})
	b := s.holder(t, "shed")
	s.pressIt(t, b, "b-shed", aPress)
	s.until(t, b, aPress, "accepted")
	topic, _, _ := strings.Cut(s.pages.broker.all()[0], " ")
	s.server.presses.forget(history.Press{Board: "home:local:shed", ID: aPress}) // as the next run begins
	s.server.Ready()
	s.pages.broker.hear(mqttproxy.Message{Topic: topic, Payload: fmt.Appendf(nil, `{"data":"moved","source":"home:local:shed","context":{"answers":%q}}`, aPress)})
	if a := s.until(t, b, aPress, "answered"); a.Words != "moved" {
		t.Errorf("%+v", a)
	}
}

// A press wakes those who follow it, and not whoever follows another one, of this board or of the next.
func TestNewsOfAPressReachesOnlyThoseWhoFollowIt(t *testing.T) {
	s := newPresses(time.Now)
	one := history.Press{Board: "home:local:shed", ID: aPress}
	first, leave := s.follow(one)
	second, _ := s.follow(one)
	sameBoard, _ := s.follow(history.Press{Board: one.Board, ID: "another-press-0123"})
	sameID, _ := s.follow(history.Press{Board: "home:local:gate", ID: one.ID})
	s.tell(one)
	s.tell(one) // nobody has looked meanwhile: this waits for nobody
	if len(first) != 1 || len(second) != 1 {
		t.Error("who follows the press is not told of it")
	}
	if len(sameBoard) != 0 || len(sameID) != 0 {
		t.Error("who follows another press is woken too")
	}
	leave()
	<-first
	if s.tell(one); len(first) != 0 {
		t.Error("who has left is told still")
	}
	done, leave := s.follow(history.Press{Board: "home:local:door", ID: aPress})
	if leave(); len(s.followers) != 3 || len(done) != 0 {
		t.Errorf("a press that nobody follows is kept: %v", s.followers)
	}
}
