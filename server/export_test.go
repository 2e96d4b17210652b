package server

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trellis/history"
)

func TestExportsAreWhatIsRecorded(t *testing.T) {
	s, now, mine, _ := past(t)
	from := url.QueryEscape(now.Add(-10 * time.Minute).Format(time.RFC3339))
	for name, tt := range map[string]struct {
		query, kind, file, first, last string
		lines                          int
	}{
		"values as CSV": {
			"entity=shed&reading=temp_c", "text/csv; charset=utf-8", "trellis-shed-temp_c-20260501T1200.csv",
			"time,received,value", "2026-05-01T11:59:00Z,2026-05-01T11:59:00Z,22", 61,
		},
		"values of a time": {
			"entity=shed&reading=door&from=" + from, "text/csv; charset=utf-8", "trellis-shed-door-20260501T1150-20260501T1200.csv",
			"time,received,value", "2026-05-01T11:59:00Z,2026-05-01T11:59:00Z,shut", 11,
		},
		"values as JSON Lines": {
			"entity=shed&reading=temp_c&format=jsonl", "application/jsonl", "trellis-shed-temp_c-20260501T1200.jsonl",
			`{"time":"2026-05-01T11:00:00Z","received":"2026-05-01T11:00:00Z","value":20}`,
			`{"time":"2026-05-01T11:59:00Z","received":"2026-05-01T11:59:00Z","value":22}`, 60,
		},
		"messages as CSV":      {"entity=shed&what=messages", "text/csv; charset=utf-8", "trellis-shed-20260501T1200.csv", "received,topic,by_hand,message", "", 61},
		"another's values":     {"entity=gate&reading=secret_level", "text/csv; charset=utf-8", "trellis-gate-secret_level-20260501T1200.csv", "time,received,value", "time,received,value", 1},
		"a name that is a way": {"entity=../../etc&reading=%22%3Bx%0d%0aA:b", "text/csv; charset=utf-8", "trellis-etc-x-A-b-20260501T1200.csv", "time,received,value", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			answer, body := send(t, s.browser(t), "GET", s.URL+"/api/history/export?"+tt.query, nil, "Authorization", "Bearer "+mine)
			if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != tt.kind {
				t.Fatalf("%d %s %s", answer.StatusCode, answer.Header.Get("Content-Type"), body)
			}
			if got := answer.Header.Get("Content-Disposition"); got != `attachment; filename="`+tt.file+`"` {
				t.Errorf("it is to be kept as %s", got)
			}
			lines := strings.Split(strings.TrimSpace(body), "\n")
			if len(lines) != tt.lines || lines[0] != tt.first || (tt.last != "" && lines[len(lines)-1] != tt.last) {
				t.Errorf("%d lines from %s to %s", len(lines), lines[0], lines[len(lines)-1])
			}
			if regexp.MustCompile(`[,:]77\b`).MatchString(body) { // a key's id may hold it too
				t.Error("it holds another's value")
			}
		})
	}
}

func TestWrongExportsAreRefusedInASentence(t *testing.T) {
	s, _, mine, _ := past(t)
	for query, says := range map[string]string{
		"reading=temp_c":                                       "which entity",
		"entity=shed":                                          "which reading",
		"entity=shed&what=everything":                          "readings or messages",
		"entity=shed&reading=temp_c&format=xlsx":               "csv or jsonl",
		"entity=shed&reading=temp_c&from=2027-01-01T00:00:0Z":  "from must be a time",
		"entity=shed&reading=temp_c&from=2027-01-01T00:00:00Z": "before to",
	} {
		answer, body := send(t, s.browser(t), "GET", s.URL+"/api/history/export?"+query, nil, "Authorization", "Bearer "+mine)
		if answer.StatusCode != 400 || !strings.Contains(body, says) {
			t.Errorf("%s: %d %s", query, answer.StatusCode, body)
		}
		holdTo(t, "/api/history/export", answer, body)
	}
	if answer, body := send(t, s.browser(t), "GET", s.URL+"/api/history/export?entity=shed&reading=temp_c", nil); answer.StatusCode != 401 {
		t.Errorf("without a key: %d %s", answer.StatusCode, body)
	}
	if answer, _ := send(t, s.browser(t), "GET", s.URL+"/history/export?entity=shed&reading=temp_c", nil, "Authorization", "Bearer "+mine); answer.StatusCode != 401 {
		t.Errorf("a key opens the door of pages: %d", answer.StatusCode)
	}
}

func TestNoCellIsAFormula(t *testing.T) {
	for in, want := range map[string]string{
		"21.5": "21.5", "-3": "-3", "-1.5e+06": "-1.5e+06", "open": "open", "": "", "a=b": "a=b",
		"=1+1": "'=1+1", "+1": "'+1", "-1+cmd|' /C calc'!A0": "'-1+cmd|' /C calc'!A0", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t'=1", "\r=1": "'\r'=1", "＝1": "'＝1", "--1": "'--1",
		"hello;=1+1": "hello;'=1+1", "a; \"=1+1": "a; \"'=1+1", "a\t@x;b": "a\t'@x;b", "a\n=1;|x": "a\n'=1;'|x", "a;-3;+1": "a;-3;'+1", "a;b=c": "a;b=c",
		`{"note":"x;=1"}`: `{"note":"x;'=1"}`, ";;=1": ";;'=1",
	} {
		if got := cell(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	shed := s.key(t, "shed")
	hostile := []string{`=HYPERLINK("http://x")`, "a,b\"c\nd", "@x", "-x"}
	for i, v := range hostile {
		text, _ := json.Marshal(v)
		record(t, s, shed, `{"data":{"word":`+string(text)+`}}`, now.Add(time.Duration(i-10)*time.Minute))
	}
	_, body := send(t, s.browser(t), "GET", s.URL+"/api/history/export?entity=shed&reading=word", nil, "Authorization", "Bearer "+shed.Key)
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows: %v: %s", len(rows), err, body)
	}
	for i, v := range hostile {
		if got := rows[i+1][2]; strings.TrimPrefix(got, "'") != v || (v[0] != 'a' && got[0] != '\'') {
			t.Errorf("%q is written as %q", v, got)
		}
	}
}

// endless is a record of so many messages, made as they are asked for.
type endless struct {
	*history.Store
	rows   int
	fail   int           // after so many; 0: never
	walked chan struct{} // is told of each piece
	pieces atomic.Int64
}

func (e *endless) Walk(_ context.Context, _ func(string) bool, of history.WalkOf) (history.Piece, error) {
	e.pieces.Add(1)
	if e.walked != nil {
		e.walked <- struct{}{}
	}
	var p history.Piece
	if e.fail > 0 && int(of.After) >= e.fail {
		return p, errors.New("the disk is gone")
	}
	start := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for n := int(of.After); n < min(int(of.After)+2000, e.rows); n++ {
		at := start.Add(time.Duration(n) * time.Second)
		payload := fmt.Sprintf(`{"data":{"n":%d},"timestamp":%[2]q,"context":{"received":%[2]q}}`, n, at.Format(time.RFC3339))
		p.Messages = append(p.Messages, history.Record{Topic: "t", About: "shed", Received: at, Payload: []byte(payload)})
	}
	if p.Next = of.After + int64(len(p.Messages)); int(p.Next) >= e.rows {
		p.Next = 0
	}
	return p, nil
}

func endlessSite(t *testing.T, e *endless) (s *site, ask func(format string) *http.Request) {
	t.Helper()
	s = newSite(t, func(c *Config) {
		e.Store = c.Store.(*history.Store)
		c.Past = e
	})
	key := s.key(t, "shed")
	return s, func(format string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/api/history/export?entity=shed&reading=n&format="+format, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key.Key)
		return r
	}
}

func TestAMillionRowsTakeNoMemory(t *testing.T) {
	const rows = 1_000_000
	s, ask := endlessSite(t, &endless{rows: rows})
	answer, err := s.browser(t).Do(ask("csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	lines, most := 0, uint64(0)
	scan := bufio.NewScanner(answer.Body)
	last := ""
	for scan.Scan() {
		if lines++; lines%100_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
		last = scan.Text()
	}
	if scan.Err() != nil || lines != rows+1 || !strings.HasSuffix(last, ",999999") {
		t.Errorf("%d lines, the last %q: %v", lines, last, scan.Err())
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the memory grew by %d bytes", grown)
	}
}

// A reader who stands still is waited for; nothing is read for him meanwhile, and when he goes it is over.
func TestASlowReaderHoldsNothing(t *testing.T) {
	e := &endless{rows: 1_000_000}
	s, ask := endlessSite(t, e)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	if err := ask("csv").Write(conn); err != nil {
		t.Fatal(err)
	}
	for was := int64(-1); ; { // until it goes on no more: the buffers in between are full
		now := e.pieces.Load()
		if now > 0 && now == was {
			break
		}
		was = now
		<-time.After(200 * time.Millisecond)
	}
	if n := e.pieces.Load(); n > 150 {
		t.Errorf("%d pieces of 500 were read for somebody who reads nothing", n)
	}
	_ = conn.Close()
	for until := time.Now().Add(10 * time.Second); ; {
		s.server.exporting.mu.Lock()
		left := s.server.exporting.all
		s.server.exporting.mu.Unlock()
		if left == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatal("it goes on when the reader has gone")
		}
		runtime.Gosched()
	}
}

// The limits for answers of usual length end no file that is read.
func TestAnExportOutlivesTheUsualLimits(t *testing.T) {
	e := &endless{rows: 60_000, walked: make(chan struct{})}
	s, ask := endlessSite(t, e)
	s.server.http.ReadTimeout, s.server.http.WriteTimeout = time.Second, time.Second
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(l) }()
	go func() { // a piece every 80 ms: 2.4 s in all
		for range 30 {
			<-time.After(80 * time.Millisecond)
			<-e.walked
		}
	}()
	r := ask("jsonl")
	r.URL.Host = l.Addr().String()
	answer, err := s.browser(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if n := strings.Count(string(body), "\n"); err != nil || n != 60_000 {
		t.Errorf("%d lines: %v", n, err)
	}
	_ = s.server.Close(t.Context())
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestAnExportThatIsCutOffSaysSo(t *testing.T) {
	s, ask := endlessSite(t, &endless{rows: 100_000, fail: 40_000})
	answer, err := s.browser(t).Do(ask("csv"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Error("a CSV that is not whole looks whole")
	}
	_ = answer.Body.Close()
	answer, err = s.browser(t).Do(ask("jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	if err != nil || len(lines) != 40_001 || !strings.Contains(lines[40_000], `"error":"Cut off`) {
		t.Errorf("%d lines, the last %s: %v", len(lines), lines[len(lines)-1], err)
	}
}

func TestAWithdrawnKeyEndsItsExport(t *testing.T) {
	e := &endless{rows: 1_000_000, walked: make(chan struct{})}
	s, ask := endlessSite(t, e)
	done := make(chan error, 1)
	go func() {
		answer, err := s.browser(t).Do(ask("csv"))
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
		done <- err
	}()
	<-e.walked
	<-e.walked
	if _, err := s.keys.Revoke(t.Context(), "shed"); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case <-e.walked:
		case err := <-done:
			if err == nil || e.pieces.Load() > 20 {
				t.Errorf("it went on for %d pieces: %v", e.pieces.Load(), err)
			}
			return
		}
	}
}

func TestFewExportsAtOnce(t *testing.T) {
	var e exporting
	var ends []func()
	take := func(holder, address string) bool {
		end, err := e.begin(holder, address)
		if err == nil {
			ends = append(ends, end)
		}
		return err == nil
	}
	for range maxExportsPerHolder {
		if !take("a", "1") {
			t.Fatal("refused too early")
		}
	}
	if take("a", "2") {
		t.Error("one holder takes too many")
	}
	for i := range maxExportsPerAddress - maxExportsPerHolder {
		if !take(fmt.Sprint("b", i), "1") {
			t.Fatal("refused too early")
		}
	}
	if take("c", "1") {
		t.Error("one address takes too many")
	}
	for i := range maxExports - maxExportsPerAddress {
		if !take(fmt.Sprint("d", i), fmt.Sprint("d", i)) {
			t.Fatal("refused too early")
		}
	}
	if take("e", "e") {
		t.Error("too many at once")
	}
	for _, end := range ends {
		end()
	}
	if e.all != 0 || len(e.by) != 0 {
		t.Errorf("%d are left, of %d", e.all, len(e.by))
	}
}
