package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite"

	"trellis/e2e/wire"
)

// standStill keeps everybody else from writing to the database, as a disk does that takes its time.
func (s *server) standStill() (goOn func()) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.data, "trellis.db")+"?_txlock=immediate&_pragma=busy_timeout(10000)")
	must(s.t, err)
	tx, err := db.BeginTx(context.Background(), nil)
	must(s.t, err)
	goOn = sync.OnceFunc(func() {
		_ = tx.Rollback()
		_ = db.Close()
	})
	s.t.Cleanup(goOn)
	return goOn
}

// notRecorded reads what a board says of it.
func notRecorded(body string) int {
	found := regexp.MustCompile(`>(\d+) messages were not recorded`).FindStringSubmatch(body)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

// TestWhatIsNotRecordedIsCountedAndShown: the record stands still while more comes at QoS 0 than may wait. What came at QoS 1 waits.
func TestWhatIsNotRecordedIsCountedAndShown(t *testing.T) {
	const connections, each = 40, 200  // as many as one may send at once
	pad := strings.Repeat("-", 16<<10) // what waits is limited in bytes, and this is more
	s := start(t)
	gauge, other := s.addKey("gauge"), s.addKey("other")
	page := s.browser()
	page.enter()
	goOn := s.standStill()
	say := func(c *wire.Client, n, qos int) error {
		payload := fmt.Appendf(nil, `{"msg_type":"publish","data":{"level":%d,"note":%q}}`, n, pad)
		return c.Send(wire.Message{Topic: gauge.topic("publish"), QoS: byte(qos), ID: 1, Payload: payload}.Packet())
	}
	var sending sync.WaitGroup
	for p := range connections {
		c := s.device(gauge, fmt.Sprintf("#%d", p))
		sending.Go(func() {
			for n := range each - 1 {
				if err := say(c, 1+p*each+n, 0); err != nil {
					t.Error(err)
					return
				}
			}
			if p == 0 {
				if err := say(c, each, 1); err != nil {
					t.Error(err)
				}
			}
			if err := c.Ping(); err != nil { // all of it was read
				t.Error(err)
			}
		})
	}
	sending.Wait()
	const sent = connections*(each-1) + 1
	said := 0
	for until := time.Now().Add(2 * prompt); said == 0 && time.Now().Before(until); <-time.After(100 * time.Millisecond) { // nothing tells it
		said = notRecorded(page.do(http.MethodGet, "/", "").body)
	}
	goOn()
	if said == 0 {
		t.Fatal("the board says nothing of what is not recorded")
	}
	var missing int
	for until := time.Now().Add(2 * prompt); time.Now().Before(until); <-time.After(100 * time.Millisecond) {
		missing = s.missing(gauge)
		if missing+len(recorded(t, s.data, gauge.topic("publish"), 2*sent)) == sent {
			break
		}
	}
	if on := len(recorded(t, s.data, gauge.topic("publish"), 2*sent)); missing < said || missing+on != sent {
		t.Errorf("%d were sent, %d are on record, %d are said to be missing, and the board said %d", sent, on, missing, said)
	}
	s.checkLevels(gauge, each)
	if n := s.missing(other); n != 0 {
		t.Errorf("another key is told that %d are missing", n)
	}
	s.kill()
	s.start()
	if n := s.missing(gauge); n != missing {
		t.Errorf("after a crash %d are said to be missing, before it %d", n, missing)
	}
	fresh := s.browser()
	fresh.enter()
	if n := notRecorded(fresh.do(http.MethodGet, "/", "").body); n != missing {
		t.Errorf("after a crash the board says %d, want %d", n, missing)
	}
}

// missing asks how many messages of a key are not on record.
func (s *server) missing(k key) (n int) {
	s.t.Helper()
	r := s.browser().do(http.MethodGet, "/api/history/gaps", "", "Authorization", "Bearer "+k.Key)
	var answer struct{ Unrecorded []struct{ Count int } }
	decode(s.t, []byte(r.body), &answer)
	for _, u := range answer.Unrecorded {
		n += u.Count
	}
	return n
}
