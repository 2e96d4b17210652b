package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/message"
)

// postman stands where the outbox would: it sends at once whatever waits, unless he is away.
type postman struct {
	store *history.Store
	away  atomic.Bool

	mu   sync.Mutex
	sent []string
}

func (p *postman) Wake(keyID string) {
	for !p.away.Load() {
		l, _, there, err := p.store.NextLetter(context.Background(), keyID)
		if err != nil || !there {
			return
		}
		p.mu.Lock()
		p.sent = append(p.sent, l.Topic+" "+string(l.Payload))
		p.mu.Unlock()
		_ = p.store.EndLetter(context.Background(), l.ID, history.LetterSent)
	}
}

func (p *postman) Follow(string) (<-chan struct{}, func()) { return nil, func() {} }

func (p *postman) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sent)
}

const plainMessage = `{"msg_type":"publish","data":{"led":"on"}}`

// leave sends a message as a program does.
func (s *site) leave(t *testing.T, key, query, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	return s.program(t, http.MethodPost, "/api/entities/messages"+query, key, body, headers...)
}

func (s *site) program(t *testing.T, method, path, key, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer, err := s.browser(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func (s *site) postman() *postman { return s.server.Outbox.(*postman) }

type leftAnswer struct {
	ID, State string
	Until     time.Time
	Done      *time.Time
}

func leftIn(t *testing.T, body string) (l leftAnswer) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &l); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return l
}

func TestAMessageIsLeftAndFound(t *testing.T) {
	now := time.Now()
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	key, other := s.key(t, "shed"), s.key(t, "barn")
	answer, body := s.leave(t, key.Key, "?entity=ignored", plainMessage, "Origin", "https://elsewhere.example")
	holdTo(t, "/api/entities/messages", answer, body)
	l := leftIn(t, body)
	if answer.StatusCode != 202 || l.State != "sent" || !l.Until.Equal(now.Add(time.Hour).UTC().Truncate(time.Millisecond)) || l.Done == nil {
		t.Errorf("%s %s", answer.Status, body)
	}
	if answer.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(answer.Header.Get("Access-Control-Expose-Headers"), "Location") {
		t.Error("pages of other sites cannot read the answer")
	}
	if sent := s.postman().sent; len(sent) != 1 || sent[0] != "home/local/"+key.JTI+"/publish "+plainMessage {
		t.Errorf("sent %q", sent)
	}
	at := answer.Header.Get("Location")
	answer, body = s.program(t, http.MethodGet, at, key.Key, "")
	holdTo(t, "/api/entities/messages/{id}", answer, body)
	if answer.StatusCode != 200 || leftIn(t, body).State != "sent" {
		t.Errorf("found %s %s", answer.Status, body)
	}
	for name, tt := range map[string]struct {
		path, key string
		status    int
	}{
		"with another key": {at, other.Key, 404},
		"without a key":    {at, "", 401},
		"another message":  {at + "x", key.Key, 404},
	} {
		answer, body := s.program(t, http.MethodGet, tt.path, tt.key, "")
		holdTo(t, "/api/entities/messages/{id}", answer, body)
		if answer.StatusCode != tt.status {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
	if answer, _ := s.program(t, http.MethodOptions, "/api/entities/messages", "", "", "Origin", "https://elsewhere.example"); answer.StatusCode != 204 ||
		!strings.Contains(answer.Header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") || !strings.Contains(answer.Header.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("asking beforehand: %s %v", answer.Status, answer.Header)
	}
}

func TestMessagesThatAreNotTaken(t *testing.T) {
	s := newSite(t, nil)
	key, gone := s.key(t, "shed"), s.key(t, "barn")
	if _, err := s.keys.Revoke(t.Context(), gone.JTI); err != nil {
		t.Fatal(err)
	}
	long := `{"msg_type":"publish","data":"` + strings.Repeat("x", maxMessage) + `"}`
	for name, tt := range map[string]struct {
		key, query, body string
		headers          []string
		status           int
		reason           string
	}{
		"no key":                   {"", "", plainMessage, nil, 401, "key_missing"},
		"no key, whatever it is":   {"", "", "nonsense", nil, 401, "key_missing"},
		"an unknown key":           {"nonsense", "", plainMessage, nil, 401, "key_unknown"},
		"a key that was withdrawn": {gone.Key, "", plainMessage, nil, 403, "key_revoked"},
		"nothing":                  {key.Key, "", "", nil, 400, "message_shape"},
		"a list":                   {key.Key, "", "[" + plainMessage + "]", nil, 400, "message_shape"},
		"too long":                 {key.Key, "", long, nil, 413, "too_large"},
		"compressed":               {key.Key, "", plainMessage, []string{"Content-Encoding", "gzip"}, 415, "refused"},
		"no time at all":           {key.Key, "?expires=0", plainMessage, nil, 400, "expires"},
		"more than a day":          {key.Key, "?expires=86401", plainMessage, nil, 400, "expires"},
		"a time with a unit":       {key.Key, "?expires=1h", plainMessage, nil, 400, "expires"},
		"an empty name":            {key.Key, "", plainMessage, []string{"Idempotency-Key", ""}, 400, "idempotency_key"},
		"a name that is too long":  {key.Key, "", plainMessage, []string{"Idempotency-Key", strings.Repeat("x", 256)}, 400, "idempotency_key"},
		"two names":                {key.Key, "", plainMessage, []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 400, "idempotency_key"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, body := s.leave(t, tt.key, tt.query, tt.body, tt.headers...)
			holdTo(t, "/api/entities/messages", answer, body)
			if answer.StatusCode != tt.status || !strings.Contains(body, `"`+tt.reason+`"`) {
				t.Errorf("%s %s, want %d %s", answer.Status, body, tt.status, tt.reason)
			}
		})
	}
	if n := s.postman().count(); n != 0 {
		t.Errorf("%d of them were sent", n)
	}
	if answer, body := s.leave(t, key.Key, "?key="+key.Key, plainMessage, "Cookie", "trellis=x"); answer.StatusCode != 202 {
		t.Errorf("a good one among them: %s %s", answer.Status, body)
	}
}

func TestOneNameIsOneMessage(t *testing.T) {
	s := newSite(t, nil)
	key, other := s.key(t, "shed"), s.key(t, "barn")
	name := []string{"Idempotency-Key", "order 66"}
	first, body := s.leave(t, key.Key, "", plainMessage, name...)
	again, same := s.leave(t, key.Key, "", plainMessage, name...)
	if first.StatusCode != 202 || again.StatusCode != 202 || body != same || first.Header.Get("Location") != again.Header.Get("Location") {
		t.Errorf("%s %s, then %s %s", first.Status, body, again.Status, same)
	}
	for query, payload := range map[string]string{"": `{"msg_type":"publish","data":2}`, "?expires=60": plainMessage} {
		answer, body := s.leave(t, key.Key, query, payload, name...)
		holdTo(t, "/api/entities/messages", answer, body)
		if answer.StatusCode != 422 || !strings.Contains(body, "idempotency_reused") {
			t.Errorf("another message: %s %s", answer.Status, body)
		}
	}
	if answer, theirs := s.leave(t, other.Key, "", plainMessage, name...); answer.StatusCode != 202 || leftIn(t, theirs).ID == leftIn(t, body).ID {
		t.Errorf("another key's message of that name: %s %s", answer.Status, theirs)
	}
	if n := s.postman().count(); n != 2 {
		t.Errorf("%d messages were sent, want 2", n)
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	now := time.Now()
	s := frontSite(t, access.ErrKeyUnknown, nil)
	s.server.senders.now = func() time.Time { now = now.Add(time.Second); return now }
	s.server.limits.now = s.server.senders.now
	s.postman().away.Store(true)
	for n := range history.MaxLetters {
		if answer, body := s.leave(t, "good", "", plainMessage); answer.StatusCode != 202 || leftIn(t, body).State != "waiting" {
			t.Fatalf("message %d: %s %s", n, answer.Status, body)
		}
	}
	answer, body := s.leave(t, "good", "", plainMessage)
	holdTo(t, "/api/entities/messages", answer, body)
	if answer.StatusCode != 429 || !strings.Contains(body, "outbox_full") || answer.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s %s", answer.Status, body)
	}
	s.postman().away.Store(false)
	s.postman().Wake("k1")
	if n := s.postman().count(); n != history.MaxLetters {
		t.Errorf("%d were kept of %d", n, history.MaxLetters)
	}
}

func TestOneKeySendsSoManyASecond(t *testing.T) {
	still := time.Now()
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return still } })
	s.server.limits.now = time.Now
	senders := s.server.senders
	for n := range sendBurst {
		if err := senders.take("k1"); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
	key := s.key(t, "shed")
	senders.seen[key.JTI] = senders.seen["k1"]
	answer, body := s.leave(t, key.Key, "", plainMessage)
	holdTo(t, "/api/entities/messages", answer, body)
	if answer.StatusCode != 429 || !strings.Contains(body, "rate_limited") {
		t.Errorf("one too many: %s %s", answer.Status, body)
	}
	says(t, scrape(t, s), `trellis_rate_limited_total{limit="send"} 1`, `trellis_rate_limited_total{limit="ask"} 0`)
	if err := senders.take("k2"); err != nil {
		t.Errorf("another key: %v", err)
	}
}

func TestAKeyThatWasGoodIsTakenWhileItsServiceIsAway(t *testing.T) {
	for name, tt := range map[string]struct {
		err     error
		key     string
		status  int
		refusal string // as it is counted
		refused int
	}{
		"away":             {access.ErrServiceAway, "held", 202, "service_away", 0},
		"busy":             {access.LimitedError{}, "held", 202, "service_limited", 0},
		"a key never seen": {access.ErrServiceAway, "unheld", 502, "service_away", 1},
		"a key it refuses": {access.ErrKeyUnknown, "held", 401, "key_unknown", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := frontSite(t, tt.err, nil)
			answer, body := s.leave(t, tt.key, "", plainMessage)
			holdTo(t, "/api/entities/messages", answer, body)
			if answer.StatusCode != tt.status {
				t.Errorf("%s %s", answer.Status, body)
			}
			says(t, scrape(t, s), fmt.Sprintf(`trellis_sign_ins_refused_total{reason=%q} %d`, tt.refusal, tt.refused))
			if answer, _ := send(t, s.browser(t), http.MethodPost, s.URL+"/session", map[string][]string{"key": {tt.key}},
				"Sec-Fetch-Site", "same-origin", "Origin", s.URL, "Accept", "application/json"); answer.StatusCode < 400 {
				t.Errorf("a page is let in: %s", answer.Status)
			}
		})
	}
}

func TestMessagesAreGivenOnce(t *testing.T) {
	s := frontSite(t, access.ErrKeyUnknown, nil)
	record := func(topic string, n int) {
		from := message.Origin{Topic: topic, Received: time.Now(), Hearer: message.Hearer{Entity: "shed", Path: "acme:eu:shed"}}
		all := message.Normalise(fmt.Appendf(nil, `{"msg_type":"publish","data":%d,"source":"acme:eu:barn"}`, n), from, func(string) bool { return false })
		if err := s.store.Append(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(query string) (numbers []int) {
		t.Helper()
		answer, body := s.program(t, http.MethodGet, "/api/entities/check_messages"+query, "good", "")
		holdTo(t, "/api/entities/check_messages", answer, body)
		var all []struct{ Data int }
		if err := json.Unmarshal([]byte(body), &all); err != nil || all == nil {
			t.Fatalf("%s %s", answer.Status, body)
		}
		for _, m := range all {
			numbers = append(numbers, m.Data)
		}
		return numbers
	}
	if got := ask(""); len(got) != 0 {
		t.Errorf("before anything came: %v", got)
	}
	for n := range 5 {
		record("acme/eu/k1/messages", n)
		record("acme/eu/k2/messages", 100+n)
		record("acme/eu/k1/publish", 200+n)
	}
	for i, want := range []string{"[0 1]", "[2 3 4]", "[]"} {
		if got := fmt.Sprint(ask([]string{"?limit=2", "?limit=1000", ""}[i])); got != want {
			t.Errorf("asked %d times: %s, want %s", i+1, got, want)
		}
	}
	record("acme/eu/k1/messages", 5)
	if got := fmt.Sprint(ask("")); got != "[5]" {
		t.Errorf("what came since is %s", got)
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?limit="} {
		answer, body := s.program(t, http.MethodGet, "/api/entities/check_messages"+query, "good", "")
		holdTo(t, "/api/entities/check_messages", answer, body)
		if answer.StatusCode != 400 {
			t.Errorf("%s: %s", query, answer.Status)
		}
	}
	built := newSite(t, nil)
	answer, body := built.program(t, http.MethodGet, "/api/entities/check_messages", built.key(t, "shed").Key, "")
	holdTo(t, "/api/entities/check_messages", answer, body)
	if answer.StatusCode != 501 || !strings.Contains(body, "not_recorded") {
		t.Errorf("a broker of our own: %s %s", answer.Status, body)
	}
}

// oneLetter is a Store of one letter that expires after a second.
type oneLetter struct {
	Store
	until time.Time
}

func (o oneLetter) FindLetter(context.Context, string, string) (l history.Letter, there bool, err error) {
	if !time.Now().Before(o.until) {
		l.State = history.LetterExpired
	}
	return l, true, nil
}

func TestAnAnswerKnowsThatItsMessageExpiredMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Config: Config{Store: oneLetter{until: time.Now().Add(time.Second)}, Outbox: &postman{}}}
		c := echo.New().NewContext(httptest.NewRequest(http.MethodPost, "/", nil), httptest.NewRecorder())
		if l := s.settled(c, history.Letter{}); l.State != history.LetterExpired {
			t.Errorf("it is answered that the message is %v", l.State)
		}
	})
}
