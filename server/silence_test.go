package server

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/templates"
)

// Messages go first, and minutes stay: where none is kept any more nobody was silent for that.
func TestWhatWasRemovedIsDrawnAsNoSilence(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	shed := s.key(t, "house:shed")
	for n := range 24 * 12 { // every five minutes, the battery every two hours
		data := fmt.Sprintf(`{"temp_c":%d}`, 20+n%5)
		if n%24 == 0 {
			data = `{"temp_c":20,"battery":81.5}`
		}
		record(t, s, shed, `{"data":`+data+`}`, now.Add(time.Duration(n-24*12)*5*time.Minute))
	}
	b := comeIn(t, s, shed)
	knowsRhythm(t, s, b)
	file, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "trellis.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, as := range []string{"all is kept", "some is removed"} {
		_, page := send(t, b, http.MethodGet, s.URL+"/value?entity=house:shed&reading=battery", nil)
		if n := strings.Count(page, "Quiet (usually"); n != 0 || !strings.Contains(page, "The last day") {
			t.Errorf("%s: it says %d times that the device was quiet", as, n)
		}
		_, err := file.Exec(`INSERT INTO swept SELECT topic, max(id) - 40 FROM messages GROUP BY topic;
			DELETE FROM messages WHERE id <= (SELECT message FROM swept) AND NOT EXISTS (SELECT 1 FROM latest WHERE message = messages.id)`)
		if as == "all is kept" && err != nil {
			t.Fatal(err)
		}
	}
}

// Where a device has had another key before, its silences are those of the one that it has now.
func TestAnOldKeyHidesNoSilence(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	old, shed := s.key(t, "shed"), s.key(t, "shed")
	for n := range 48 {
		record(t, s, old, `{"data":{"temp_c":20}}`, now.Add(time.Duration(n-24*20)*time.Hour/2))
	}
	for n := range 24 * 12 { // every five minutes, but for 45 of them
		if at := now.Add(time.Duration(n-24*12) * 5 * time.Minute); at.Hour() != 10 || at.Minute() < 15 {
			record(t, s, shed, `{"data":{"temp_c":20}}`, at)
		}
	}
	h := happened{From: now.Add(-3 * time.Hour), To: now}
	operator := access.OperatorGrant("home", "local", time.Time{})
	if err := s.server.learn(t.Context(), operator, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := s.server.find(t.Context(), operator, time.UTC, &h); err != nil {
		t.Fatal(err)
	}
	if len(h.Events) != 1 || h.Events[0].Kind != templates.HappenedQuiet {
		t.Errorf("%+v", h.Events)
	}
}

// There are two turns: whoever waited for a rhythm within one kept everybody's charts waiting.
func TestNobodyWaitsForARhythmInATurn(t *testing.T) {
	s, _, shed, _ := absence(t, nil)
	b := comeIn(t, s, shed)
	for _, path := range []string{"/happened", "/value?entity=shed&reading=temp_c", "/history/devices", "/"} {
		t.Run(path, func(t *testing.T) {
			began, end := make(chan struct{}), make(chan struct{})
			listen := s.server.rhythms.listen
			listen.heard = func(context.Context, history.Speaker, int) ([]time.Time, error) {
				close(began)
				<-end
				return nil, context.Canceled
			}
			s.server.rhythms = newRhythms(listen, s.server.rhythms.now, s.server.rhythms.detach)
			var done sync.WaitGroup
			done.Go(func() { send(t, b, http.MethodGet, s.URL+path, nil) })
			<-began
			if n := len(s.server.turns.all); n != 0 {
				t.Error("it holds a turn while it waits")
			}
			close(end)
			done.Wait()
		})
	}
}

// A silence that is found in a month is as long in its chart as in that of a day, though a step is longer than it. Those of less than 43 minutes, a
// thousandth of the month, are not looked for there.
func TestASilenceIsAsLongInEveryChart(t *testing.T) {
	s, now, shed, _ := absence(t, nil) // the shed is silent from 13:40 to 14:30
	grant := access.KeyGrant(access.Subject{Account: "home", Region: "local", Entity: "shed"}, shed.JTI, time.Time{})
	if err := s.server.learn(t.Context(), grant, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	quietIn := func(span spanName) (all []string) {
		t.Helper()
		st, err := s.server.stretchOf(t.Context(), grant, asked{entity: "shed", reading: "temp_c", span: span}, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range st.Gaps {
			all = append(all, b.From.Format("15:04")+"-"+b.To.Format("15:04"))
		}
		return all
	}
	for _, span := range []spanName{"day", "week", "month"} {
		if got := quietIn(span); !slices.Equal(got, []string{"13:40-14:30"}) {
			t.Errorf("in a %s: %v", span, got)
		}
	}
	now = now.Add(-35 * time.Minute)
	if got := quietIn("hour"); !slices.Equal(got, []string{"13:40-00:00"}) {
		t.Errorf("in an hour, as it lasts: %v", got)
	}
	if now = now.Add(61 * time.Minute); !slices.Equal(quietIn("hour"), []string{"14:26-14:30", "14:55-00:00"}) {
		t.Errorf("in an hour that shows its end: %v", quietIn("hour"))
	}
}

func TestWhatWasSentLateLeavesTheRestOfASilence(t *testing.T) {
	began := time.Date(2026, 5, 1, 12, 0, 20, 0, time.UTC)
	at := func(minutes int) time.Time {
		return began.Truncate(time.Minute).Add(time.Duration(minutes) * time.Minute)
	}
	st := stretch{From: at(-60), To: at(60), Every: time.Minute}
	for _, minutes := range []int{-10, 0, 20, 21, 22, 23, 50} {
		st.Points = append(st.Points, history.Point{At: at(minutes)})
	}
	ended := at(50).Add(10 * time.Second)
	for name, tt := range map[string]struct {
		from, to time.Time // of the silence
		shown    time.Time // from when on
		want     []blank
	}{
		"one that is over":             {began, ended, at(-60), []blank{{From: began, To: at(20)}, {From: at(24), To: ended}}},
		"one that lasts":               {began, time.Time{}, at(-60), []blank{{From: began, To: at(20)}, {From: at(24), To: at(50)}, {From: at(51)}}},
		"one that began before":        {began, ended, at(10), []blank{{From: at(10), To: at(20)}, {From: at(24), To: ended}}},
		"one whose begin is not shown": {began, ended, at(22), []blank{{From: at(24), To: ended}}},
	} {
		st.From = tt.shown
		if got := pauses(st, silence{from: tt.from, to: tt.to}, st.To); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// However often a device was quiet: its values stay in the table, and why nothing is known in what is sent.
func TestManySilencesLeaveRoom(t *testing.T) {
	st := stretch{From: chartStart, To: chartStart.Add(7 * 24 * time.Hour), Every: time.Hour}
	for n := range maxTableRows {
		st.Rows = append(st.Rows, history.Point{At: chartStart.Add(time.Duration(n) * time.Hour), N: 1})
		st.Gaps = append(st.Gaps, blank{Words: "Quiet", Quiet: true, From: chartStart.Add(time.Duration(n)*time.Hour + time.Minute)})
	}
	st.Gaps = slices.Insert(st.Gaps, 0, blank{Words: "This page's server was off", From: chartStart})
	table := numberTable(st)
	values, quiet, off := 0, 0, 0
	for _, row := range table.Rows {
		switch {
		case len(row.Cells) > 0:
			values++
		case row.Words == "Quiet":
			quiet++
		default:
			off++
		}
	}
	if values < maxTableRows-1 || quiet != maxQuietRows || !strings.Contains(table.Note, "newest 20; 40 earlier ones") {
		t.Errorf("%d rows of values, %d of silences, %d of ours: %s", values, quiet, off, table.Note)
	}
	if left := newestQuiet(st.Gaps, 3); len(left) != 4 || left[0].Quiet || !left[1].From.After(st.Gaps[maxTableRows-3].From) {
		t.Errorf("%+v", left)
	}
}
