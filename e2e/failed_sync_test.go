//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// disturb has the kernel answer the running server's syncs as strace is told, of these files or of all, until over is called.
func (s *server) disturb(how string, files ...string) (over func()) {
	s.t.Helper()
	args := []string{"-f", "-p", strconv.Itoa(s.Process.Pid), "-o", os.DevNull, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:" + how}
	for _, file := range files {
		args = append(args, "-P", file)
	}
	strace := run(s.t, "strace", nil, args...)
	if strace.errs.wait(`attached`, prompt, strace.gone) == nil {
		said := strace.errs.String()
		if strings.Contains(said, "not permitted") {
			s.t.Skipf("this machine lets nobody trace a program, and so nobody say that a sync failed: %s", said)
		}
		s.t.Fatalf("strace: %s", said)
	}
	return sync.OnceFunc(func() {
		_ = strace.Process.Signal(os.Interrupt) // it lets go of the server
		<-strace.gone
	})
}

// stubborn is a device at QoS 1 that notes what is acknowledged.
type stubborn struct {
	*wire.Client
	t     testing.TB
	topic string
	sent  uint16
	acked []int
}

func (d *stubborn) say(qos byte) int {
	d.t.Helper()
	d.sent++
	payload := fmt.Appendf(nil, `{"msg_type":"publish","data":{"level":%d}}`, d.sent)
	must(d.t, d.Send(wire.Message{Topic: d.topic, QoS: qos, ID: d.sent, Payload: payload}.Packet()))
	return int(d.sent)
}

// hear takes what is acknowledged until then and says how much that was. Pings are answered throughout.
func (d *stubborn) hear(within time.Duration) (n int) {
	d.t.Helper()
	for until := time.Now().Add(within); time.Now().Before(until); {
		must(d.t, d.Send(wire.Bare(wire.PINGREQ)))
		for {
			p, err := d.Packet(prompt)
			must(d.t, err)
			if p.Kind == wire.PINGRESP {
				break
			}
			d.acked = append(d.acked, int(p.ID()))
			n++
		}
		<-time.After(50 * time.Millisecond)
	}
	return n
}

// shown waits for a live page to be shown this level.
func shown(t testing.TB, live *wire.Client, n int) {
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

// TestNothingIsAcknowledgedAfterAFailedSync: also when the next sync would succeed, since what the failed one was to keep may be gone.
func TestNothingIsAcknowledgedAfterAFailedSync(t *testing.T) {
	for name, tt := range map[string]struct {
		files string
		tried time.Duration // by then whoever tries again would have
	}{
		"of the record":     {"trellis.db*", 4 * time.Second},
		"of what was taken": {"jetstream/jetstream/$G/streams/$MQTT_msgs/msgs/*.blk", 14 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			gauge := s.addKey("gauge")
			page, live := s.operator("home/local/+/publish")
			d := &stubborn{Client: s.device(gauge, ""), t: t, topic: gauge.topic("publish")}
			first := d.say(1)
			shown(t, live, first)
			s.checkLevels(gauge, first)

			broken, err := filepath.Glob(filepath.Join(s.data, filepath.FromSlash(tt.files)))
			if err != nil || len(broken) == 0 {
				t.Fatalf("no sync would fail: %v, %v", broken, err)
			}
			mend := s.disturb("error=EIO", broken...)
			d.say(1)
			s.readiness(page, http.StatusServiceUnavailable, `"why":"unsynced"`)
			d.hear(100 * time.Millisecond) // one that is on record or kept for it
			mend()
			for range 3 {
				d.say(1)
			}
			shown(t, live, d.say(0))
			if n := d.hear(tt.tried); n > 0 {
				t.Errorf("%d messages are acknowledged after a failed sync", n)
			}
			s.readiness(page, http.StatusServiceUnavailable, "Check it, then start this server again.")
			if board := page.do(http.MethodGet, "/", ""); !strings.Contains(board.body, "its disk has been failing since") {
				t.Errorf("the board does not say it: %d", board.StatusCode)
			}
			if !strings.Contains(s.errs.String(), "could not be synced") {
				t.Error("the log does not say it")
			}

			s.kill()
			s.start()
			page = s.browser()
			page.enter()
			s.readiness(page, http.StatusOK, "")
			s.checkLevels(gauge, d.acked...)
			d.Client = s.device(gauge, "")
			d.acked = nil
			again := d.say(1)
			for until := time.Now().Add(prompt); len(d.acked) == 0 && time.Now().Before(until); {
				d.hear(500 * time.Millisecond)
			}
			s.checkLevels(gauge, again)
			if !slices.Equal(d.acked, []int{again}) {
				t.Errorf("after a new start %v are acknowledged", d.acked)
			}
			if board := page.do(http.MethodGet, "/", ""); strings.Contains(board.body, "cannot record") {
				t.Error("after a new start the board still says it")
			}
		})
	}
}

const (
	slowSync   = 500 * time.Millisecond
	slowFor    = 14 * time.Second
	moreMemory = 64 << 20
)

// TestASlowDiskMakesDevicesWait: they send as much as they may. Nobody is cut off, nothing that was acknowledged is missing, and what
// waits does so at the devices.
func TestASlowDiskMakesDevicesWait(t *testing.T) {
	s := start(t)
	gauge := s.addKey("gauge")
	page := s.browser()
	page.enter()
	before := memory(t, s.Process.Pid)
	pad := strings.Repeat("x", 100_000)
	mend := s.disturb(fmt.Sprintf("delay_exit=%d", slowSync.Microseconds()))
	var mu sync.Mutex
	var acked []int
	var loads sync.WaitGroup
	for p := range publishers {
		c := s.device(gauge, fmt.Sprintf("#%d", p))
		loads.Go(func() {
			for n := 1; n < roundNumbers; n++ {
				payload := fmt.Appendf(nil, `{"msg_type":"publish","data":{"level":%d},"pad":%q}`, p*roundNumbers+n, pad)
				if c.Send(wire.Message{Topic: gauge.topic("publish"), QoS: 1, ID: uint16(n), Payload: payload}.Packet()) != nil {
					return
				}
			}
		})
		loads.Go(func() {
			for {
				a, err := c.Packet(2 * slowFor)
				if err != nil {
					return
				}
				mu.Lock()
				acked = append(acked, p*roundNumbers+int(a.ID()))
				mu.Unlock()
			}
		})
	}
	most := before
	for until := time.Now().Add(slowFor); time.Now().Before(until); <-time.After(250 * time.Millisecond) {
		most = max(most, memory(t, s.Process.Pid))
		if r := page.do(http.MethodGet, "/readyz", ""); r.StatusCode != http.StatusOK {
			t.Fatalf("/readyz says %d %s", r.StatusCode, r.body)
		}
	}
	if board := page.do(http.MethodGet, "/", ""); strings.Contains(board.body, "cannot record") {
		t.Error("the board says that nothing is recorded")
	}
	mu.Lock()
	during := len(acked)
	mu.Unlock()
	if said := s.errs.String(); strings.Contains(said, "closing the connection") || strings.Contains(said, "begins anew") {
		t.Error("the broker inside did not keep its calm")
	}
	mend()
	s.kill()
	loads.Wait()
	s.start()
	s.checkLevels(gauge, acked...)
	if during < 4 {
		t.Errorf("only %d messages were acknowledged on a slow disk", during)
	}
	if most-before > moreMemory {
		t.Errorf("memory grew from %d to %d MiB", before>>20, most>>20)
	}
	t.Logf("%d acknowledged while each sync took %v; memory grew from %d to %d MiB", during, slowSync, before>>20, most>>20)
}
