//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// smallDisk is a disk of its own, which somebody else may fill to the last byte.
type smallDisk struct {
	t   testing.TB
	dir string
}

func newSmallDisk(t testing.TB, size int) *smallDisk {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", size)); err != nil {
		t.Skipf("a disk that can be full needs the right to mount one (root): %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return &smallDisk{t, dir}
}

func (d *smallDisk) filler() string { return filepath.Join(d.dir, "somebody else's") }

func (d *smallDisk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(d.t, err)
	defer f.Close()
	for _, size := range []int{1 << 20, 1 << 12} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("fill the disk: %v", err)
	}
}

func (d *smallDisk) empty() {
	d.t.Helper()
	must(d.t, os.Remove(d.filler()))
}

// serve runs a server that keeps everything there.
func (d *smallDisk) serve(args ...string) *server {
	d.t.Helper()
	s := &server{t: d.t, data: filepath.Join(d.dir, "data"), listen: "127.0.0.1:0", mqtt: "127.0.0.1:0", args: args, issued: &sync.Map{}}
	s.start()
	d.t.Cleanup(s.leave)
	return s
}

// readiness waits until the server says that it is so.
func (s *server) readiness(b *browser, status int, says string) {
	s.t.Helper()
	var r reply
	for until := time.Now().Add(6 * prompt); time.Now().Before(until); <-time.After(100 * time.Millisecond) { // nothing tells it
		if r = b.do(http.MethodGet, "/readyz", ""); r.StatusCode == status && strings.Contains(r.body, says) {
			return
		}
	}
	s.t.Fatalf("/readyz says %d %s, want %d and %s", r.StatusCode, r.body, status, says)
}

// gaps asks the record for them.
func (s *server) gaps(k key) (gaps []struct {
	Reason string
	Ended  *time.Time
}) {
	s.t.Helper()
	r := s.browser().do(http.MethodGet, "/api/history/gaps", "", "Authorization", "Bearer "+k.Key)
	var answer struct{ Gaps json.RawMessage }
	decode(s.t, []byte(r.body), &answer)
	decode(s.t, answer.Gaps, &gaps)
	return gaps
}

func TestAFullDiskIsSaidAndPassesByItself(t *testing.T) {
	disk := newSmallDisk(t, 64)
	s := disk.serve("--keep-size", "16MiB")
	gauge := s.addKey("gauge")
	page, live := s.operator("home/local/+/publish")
	device := s.device(gauge, "")
	say := func(n, qos int) []byte {
		return wire.Message{Topic: gauge.topic("publish"), QoS: byte(qos), ID: uint16(n), Payload: fmt.Appendf(nil, `{"msg_type":"publish","data":{"level":%d}}`, n)}.Packet()
	}
	shown := func(n int) {
		t.Helper()
		for {
			m, err := live.Receive(prompt)
			if err != nil {
				t.Fatalf("%d is not shown: %v", n, err)
			}
			if strings.Contains(string(m.Payload), fmt.Sprintf(`"level":%d`, n)) {
				return
			}
		}
	}
	acknowledged := func(n int) {
		t.Helper()
		if p, err := device.Packet(3 * prompt); err != nil || p.Kind != wire.PUBACK || p.ID() != uint16(n) {
			t.Fatalf("%d is answered by %+v, %v", n, p, err)
		}
	}
	must(t, device.Send(say(1, 1)))
	acknowledged(1)
	shown(1)

	disk.fill()
	s.readiness(page, http.StatusServiceUnavailable, `"why":"full"`)
	must(t, device.Send(say(2, 1)))
	must(t, device.Send(say(3, 1)))
	must(t, device.Send(say(4, 0)))
	shown(4)
	// Longer than nats itself leaves anybody without an answer.
	for until := time.Now().Add(7 * time.Second); time.Now().Before(until); <-time.After(500 * time.Millisecond) {
		if err := device.Ping(); err != nil {
			t.Fatalf("the device lost its connection: %v", err)
		}
	}
	if device.Waiting() > 0 {
		t.Error("something else than pings is answered")
	}
	if board := page.do(http.MethodGet, "/", ""); !strings.Contains(board.body, "its disk is full since") {
		t.Errorf("the board does not say it: %d", board.StatusCode)
	}

	disk.empty()
	acknowledged(2)
	acknowledged(3)
	shown(2)
	shown(3)
	s.readiness(page, http.StatusOK, "")
	must(t, device.Send(say(5, 1)))
	acknowledged(5)
	s.checkLevels(gauge, 1, 2, 3, 4, 5)
	s.recordsAgain(page, gauge)
}

// recordsAgain waits for the board to say no more that the disk is full, and for the gap in the record; it is looked at four times a second.
func (s *server) recordsAgain(page *browser, k key) {
	s.t.Helper()
	said, gaps := true, s.gaps(k)
	for until := time.Now().Add(prompt); time.Now().Before(until); <-time.After(100 * time.Millisecond) {
		said, gaps = strings.Contains(page.do(http.MethodGet, "/", "").body, "its disk is full since"), s.gaps(k)
		if !said && len(gaps) == 1 && gaps[0].Ended != nil {
			break
		}
	}
	if said || len(gaps) != 1 || gaps[0].Reason != "full" || gaps[0].Ended == nil {
		s.t.Errorf("the board still says it: %v; the record has the gaps %+v", said, gaps)
	}
}

// TestADiskThatFillsUnderLoadLosesNothing: then the end of the disk is met in the middle of writing, by whoever writes. What was
// acknowledged before, between and after is on record in the end, also after a kill.
func TestADiskThatFillsUnderLoadLosesNothing(t *testing.T) {
	disk := newSmallDisk(t, 64)
	s := disk.serve("--keep-size", "16MiB")
	gauge := s.addKey("gauge")
	var mu sync.Mutex
	var acked []int
	var loads sync.WaitGroup
	over := make(chan struct{})
	for p := range publishers {
		loads.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				c, err := wire.Open(t.Context(), s.mqtt, gauge.login(fmt.Sprintf("#%d", p)))
				if err != nil {
					<-time.After(100 * time.Millisecond)
					continue
				}
				mine := measure(c, gauge.topic("publish"), p*100*roundNumbers+n*roundNumbers, func() {})
				_ = c.Close()
				mu.Lock()
				acked = append(acked, mine...)
				mu.Unlock()
			}
		})
	}
	page := s.browser()
	for range 3 {
		<-time.After(700 * time.Millisecond) // of load, the middle of which is the point
		disk.fill()
		s.readiness(page, http.StatusServiceUnavailable, "")
		<-time.After(700 * time.Millisecond)
		disk.empty()
		s.readiness(page, http.StatusOK, "")
	}
	close(over)
	began := strings.Count(s.errs.String(), "begins anew")
	s.kill()
	loads.Wait()
	s.start()
	if len(acked) < 300 {
		t.Errorf("only %d messages were acknowledged: this proves nothing", len(acked))
	}
	s.checkLevels(gauge, acked...)
	t.Logf("%d acknowledged; the broker inside began anew %d times", len(acked), began)
}
