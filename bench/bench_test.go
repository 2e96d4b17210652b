package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"trellis/e2e/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMedianAndPercentile(t *testing.T) {
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("median of three = %v", got)
	}
	if got := median([]float64{4, 1, 2, 3}); got != 2.5 {
		t.Errorf("median of four = %v", got)
	}
	if !math.IsNaN(median(nil)) {
		t.Error("nothing has a median")
	}
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	if got := percentile(hundred, 0.99); got != 99 {
		t.Errorf("p99 of 1 to 100 = %d", got)
	}
	if got := percentile(hundred, 0.5); got != 50 {
		t.Errorf("p50 of 1 to 100 = %d", got)
	}
}

func TestARatioAboveOneMeansBetter(t *testing.T) {
	big, small := []float64{20, 20, 20}, []float64{2, 2, 2}
	if got := ratio(more, big, small); got != 10 {
		t.Errorf("ratio of more = %v, want 10", got)
	}
	if got := ratio(less, small, big); got != 10 {
		t.Errorf("ratio of less = %v, want 10", got)
	}
}

func TestRoundsAreComparedOneByOne(t *testing.T) {
	slow, fast := []float64{10, 100, 1000}, []float64{9, 98, 997} // the machine was ten times slower each round
	if got := added(slow, fast); got != 2 {
		t.Errorf("added = %v, want the median of 1, 2 and 3", got)
	}
	if got := ratio(more, []float64{1, 30, 100}, []float64{1, 10, 50}); got != 2 {
		t.Errorf("ratio = %v, want the median of 1, 3 and 2", got)
	}
	if got := added(slow, fast[:2]); !math.IsNaN(got) {
		t.Errorf("rounds without a counterpart were compared: %v", got)
	}
}

func TestACellSaysWhatAWayIsAgainstAnother(t *testing.T) {
	found := results{}
	for range 3 {
		found.add("m", "ours", figures{"rate": 50, "delay": 2.5})
		found.add("m", "theirs", figures{"rate": 100, "delay": 2})
	}
	rate, delay := column{measure: "m", figure: "rate", compare: more}, column{measure: "m", figure: "delay", added: true}
	for name, tt := range map[string]struct {
		column column
		row    row
		want   string
	}{
		"as a ratio":      {rate, row{way: "ours", against: "theirs"}, "50.0 (0.500×)"},
		"as a difference": {delay, row{way: "ours", against: "theirs"}, "2.50 (+0.500)"},
		"less":            {delay, row{way: "theirs", against: "ours"}, "2.00 (−0.500)"},
		"the baseline":    {rate, row{way: "theirs"}, "100"},
		"other missing":   {rate, row{way: "ours", against: "nobody"}, "50.0"},
		"itself missing":  {rate, row{way: "nobody", against: "ours"}, "–"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.column.cell(found, tt.row); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAWayThatIsNotThereHasNoRow(t *testing.T) {
	found := results{}
	found.add("relay", straight, figures{delivered: 100})
	var out strings.Builder
	if err := show(&out, found, options{rounds: 1}, 0); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, straight) || strings.Contains(text, toNginx) || strings.Contains(text, toMosquitto+"\t") {
		t.Errorf("shown was\n%s", text)
	}
}

func TestEveryRowAndColumnIsMeasured(t *testing.T) {
	known := map[string]measure{}
	for _, m := range measures {
		known[m.name] = m
	}
	for _, table := range tables(options{}) {
		for _, r := range table.rows {
			var there, other bool
			for _, c := range table.columns {
				m := known[c.measure]
				there = there || strings.Contains(strings.Join(m.ways, "\n")+"\n", r.way+"\n")
				other = other || r.against == "" || strings.Contains(strings.Join(m.ways, "\n")+"\n", r.against+"\n")
			}
			if !there || !other {
				t.Errorf("%s: nobody measures %q, or %q", table.title, r.way, r.against)
			}
		}
	}
}

func TestRowsAreChosenByName(t *testing.T) {
	some, err := chosen(measures, "memory, relay")
	if err != nil || len(some) != 2 || some[0].name != "memory" || some[1].name != "relay" {
		t.Errorf("got %v, %v", names(some), err)
	}
	if _, err := chosen(measures, "memory,speed"); err == nil || !strings.Contains(err.Error(), `"speed"`) {
		t.Errorf("a name that is none gave %v", err)
	}
}

func TestAPageCountsMessagesAndTimesThem(t *testing.T) {
	all := &pages{reach: 1, whole: make(chan struct{}, 1)}
	all.timing.Store(true)
	live := wire.Message{Topic: "a", Payload: envelope(time.Now())}.Packet()
	kept := wire.Message{Topic: "a", Payload: envelope(time.Now()), Retain: true}.Packet()
	r := reader{pages: all, in: bufio.NewReader(bytes.NewReader(bytes.Join([][]byte{live, kept, live}, nil)))}
	if err := r.run(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if all.got.Load() != 2 || len(r.took) != 2 || r.took[0] < 0 {
		t.Errorf("counted %d, timed %v; want 2 of each", all.got.Load(), r.took)
	}
	if body := int64(len(live) - 2); all.content.Load() != 2*body {
		t.Errorf("their content is %d bytes, want %d", all.content.Load(), 2*body)
	}
}

func TestAnAddressedMessageIsTheSameWithAnEntity(t *testing.T) {
	now := time.Now()
	if got, want := string(addressed(now)), strings.TrimSuffix(string(envelope(now)), "}")+`,"entity":"sink"}`; got != want {
		t.Errorf("got %s", got)
	}
}

func TestTheProcessorAndMemoryOfAProcess(t *testing.T) {
	if used, err := cpu(os.Getpid()); err != nil || used < 0 {
		t.Errorf("cpu = %v, %v", used, err)
	}
	if size, err := memory(os.Getpid()); err != nil || size < 1<<20 {
		t.Errorf("memory = %v, %v", size, err)
	}
}

func TestWhatOthersUsed(t *testing.T) {
	before := usage{all: 100, used: 50, ours: 20}
	if got := (usage{all: 200, used: 110, ours: 50}).others(before); got != 0.3 {
		t.Errorf("others used %v, want 0.3", got)
	}
	if got := (usage{all: 200, used: 70, ours: 50}).others(before); got != 0 { // clocks of different grain
		t.Errorf("others used %v, want nothing", got)
	}
	if u, err := used(); err != nil || u.used > u.all || u.ours > u.used {
		t.Errorf("used = %+v, %v", u, err)
	}
}

func TestAProcessCountsWithItsChildren(t *testing.T) {
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	p, err := launch(t.TempDir(), "/bin/sh", "-c", cat+" /dev/zero >/dev/null & wait")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	var child int
	defer func() {
		if child != 0 {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
	}()
	err = p.await(func() bool {
		all, err := p.family()
		if err != nil {
			t.Error(err)
		}
		if len(all) == 2 {
			child = all[1]
		}
		return child != 0
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.await(func() bool { used, err := p.cpu(); return err != nil || used > 0 }); err != nil {
		t.Errorf("the child's work is not counted: %v", err)
	}
	alone, _ := memory(p.pid())
	if both, err := p.memory(); err != nil || both <= alone {
		t.Errorf("memory of both = %v, %v; of the parent alone %v", both, err, alone)
	}
}
