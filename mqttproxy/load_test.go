package mqttproxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const loadTopic = "acme/local/load/publish"

// playClients is the other process of a load test: "ADDRESS COUNT". It opens COUNT WebSocket sessions that subscribe,
// prints "ready", and then prints once a second how many messages came in all. It ends when its input does.
func playClients(role string) {
	var address string
	var count int
	if _, err := fmt.Sscan(role, &address, &count); err != nil {
		panic(err)
	}
	var received atomic.Uint64
	var ready sync.WaitGroup
	for i := range count {
		ready.Add(1)
		go playClient(address, i, &received, ready.Done)
		if i%50 == 49 {
			ready.Wait()
		}
	}
	ready.Wait()
	fmt.Println("ready")
	go func() {
		for range time.Tick(100 * time.Millisecond) {
			fmt.Println(received.Load())
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func playClient(address string, n int, received *atomic.Uint64, ready func()) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(conn, "GET /live HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", address, address)
	r := bufio.NewReaderSize(conn, 32<<10)
	for line := ""; line != "\r\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			panic(err)
		}
	}
	id := fmt.Sprintf("load-%06d", n)
	hello := []byte{0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0}
	hello = appendString(hello, id)
	_, _ = conn.Write(masked(append(appendHead(nil, 0x10, len(hello)), hello...)))
	_, _ = conn.Write(masked(subscribePacket(1, 0, "acme/local/+/publish")))
	countMessages(r, received, ready)
}

// countMessages reads frames without unpacking them into memory: it follows the packets' lengths only.
func countMessages(r *bufio.Reader, received *atomic.Uint64, ready func()) {
	body := &frames{r: r}
	for {
		first, err := body.ReadByte()
		if err != nil {
			return
		}
		remaining, err := binary.ReadUvarint(body)
		if err != nil {
			return
		}
		if err := body.skip(int(remaining)); err != nil {
			return
		}
		switch first >> 4 {
		case typeSuback:
			ready()
		case typePublish:
			received.Add(1)
		}
	}
}

// frames gives the payload of binary frames as one stream.
type frames struct {
	r    *bufio.Reader
	left int
}

func (f *frames) ReadByte() (byte, error) {
	for f.left == 0 {
		var head [10]byte
		if _, err := io.ReadFull(f.r, head[:2]); err != nil {
			return 0, err
		}
		switch f.left = int(head[1] & 0x7f); f.left {
		case 126:
			_, _ = io.ReadFull(f.r, head[:2])
			f.left = int(binary.BigEndian.Uint16(head[:2]))
		case 127:
			_, _ = io.ReadFull(f.r, head[:8])
			f.left = int(binary.BigEndian.Uint64(head[:8]))
		}
	}
	f.left--
	return f.r.ReadByte()
}

func (f *frames) skip(n int) error {
	for n > 0 {
		if f.left == 0 {
			if _, err := f.ReadByte(); err != nil {
				return err
			}
			n--
			continue
		}
		step, err := f.r.Discard(min(n, f.left))
		if err != nil {
			return err
		}
		n, f.left = n-step, f.left-step
	}
	return nil
}

// masked makes one binary frame as a client sends it, with the mask 0.
func masked(p []byte) []byte {
	b := []byte{0x82}
	switch {
	case len(p) < 126:
		b = append(b, 0x80|byte(len(p)))
	case len(p) <= 65535:
		b = append(b, 0x80|126, byte(len(p)>>8), byte(len(p)))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(len(p)))
	}
	return append(append(b, 0, 0, 0, 0), p...)
}

// clients is the other process, seen from here.
type clients struct {
	cmd      *exec.Cmd
	input    io.Closer
	received atomic.Uint64
	over     chan struct{}
}

func startClients(t testing.TB, address string, count int) *clients {
	t.Helper()
	c := &clients{cmd: exec.Command(os.Args[0]), over: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), "MQTTPROXY_LOAD="+address+" "+strconv.Itoa(count))
	c.cmd.Stderr = os.Stderr
	c.input, _ = c.cmd.StdinPipe()
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatal("clients did not come up")
	}
	go func() {
		defer close(c.over)
		for lines.Scan() {
			n, _ := strconv.ParseUint(lines.Text(), 10, 64)
			c.received.Store(n)
		}
	}()
	t.Cleanup(func() {
		_ = c.input.Close()
		<-c.over
		_ = c.cmd.Wait()
	})
	return c
}

// liveServer is a Hub behind a real HTTP server.
func liveServer(t testing.TB, h *Hub) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, err := Accept(w, r, Options{})
		if err == nil {
			sessions.Go(func() { h.Serve(context.Background(), socket, testGrant()) })
		}
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		_ = h.Close(context.Background())
		sessions.Wait()
	})
	return listener.Addr().String()
}

func residentBytes() int {
	runtime.GC()
	debug.FreeOSMemory()
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.SplitSeq(string(status), "\n") {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(value)[0])
			return kb << 10
		}
	}
	return 0
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkIdlePage tells what an idle page costs: resident memory of this process, clients in another.
func BenchmarkIdlePage(b *testing.B) {
	const pages = 2000
	for b.Loop() {
		source := &fakeSource{}
		h := NewHub(Config{Source: source})
		h.Start()
		address := liveServer(b, h)
		before := residentBytes()
		startClients(b, address, pages)
		after := residentBytes()
		b.ReportMetric(float64(after-before)/pages/1024, "KiB/page")
		b.ReportMetric(float64(runtime.NumGoroutine())/pages, "goroutines/page")
	}
}

// BenchmarkFanOut publishes as fast as readers on two cores can take it, with never more than a window of messages on
// their way, and tells deliveries per second and CPU time of this process for each.
func BenchmarkFanOut(b *testing.B) {
	const readers, ahead = 1000, 400
	source := &fakeSource{}
	h := NewHub(Config{Source: source})
	h.Start()
	others := startClients(b, liveServer(b, h), readers)
	payload := []byte(strings.Repeat("x", 200))
	began, cpu, sent := time.Now(), cpuTime(), 0
	for time.Since(began) < 5*time.Second {
		if others.received.Load() < uint64(max(0, sent-ahead)*readers) {
			time.Sleep(time.Millisecond)
			continue
		}
		source.deliver(Message{Topic: loadTopic, Payload: payload, Parts: []string{"a"}})
		sent++
	}
	for others.received.Load()+h.Stats().Dropped < uint64(sent*readers) {
		time.Sleep(10 * time.Millisecond)
	}
	for b.Loop() { // the work is done; the loop only satisfies the harness, which clears what was reported before it
	}
	took, received := time.Since(began), others.received.Load()
	b.ReportMetric(float64(received)/took.Seconds(), "deliveries/s")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(received), "cpu-ns/delivery")
	b.ReportMetric(float64(h.Stats().Dropped), "dropped")
}
