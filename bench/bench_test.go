package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"os"
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
}

func TestARatioAboveOneMeansBetter(t *testing.T) {
	fast, small := line{better: more}, line{better: less}
	for range 3 {
		fast.add(20, 2)
		small.add(2, 20)
	}
	if fast.ratio() != 10 || small.ratio() != 10 {
		t.Errorf("ratios %v and %v, want 10", fast.ratio(), small.ratio())
	}
}

func TestAPageCountsMessagesAndTimesThem(t *testing.T) {
	all := &pages{conns: make([]net.Conn, 1), whole: make(chan struct{}, 1)}
	all.timing.Store(true)
	live := wire.Message{Topic: "a", Payload: envelope(time.Now())}.Packet()
	kept := wire.Message{Topic: "a", Payload: envelope(time.Now()), Retain: true}.Packet()
	frame := append([]byte{0x80 | wire.BinaryFrame, 126, 0, 0}, append(append(live, kept...), live...)...)
	binary.BigEndian.PutUint16(frame[2:], uint16(len(frame)-4))
	r := reader{pages: all, in: bufio.NewReader(bytes.NewReader(frame))}
	if err := r.run(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if all.got.Load() != 2 || len(all.took) != 2 || all.took[0] < 0 {
		t.Errorf("counted %d, timed %v; want 2 of each", all.got.Load(), all.took)
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
