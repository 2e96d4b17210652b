package mqttproxy

import (
	"bufio"
	"context"
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

	"trellis/access"
)

const loadTopic = "acme/local/load/publish"

// clients is the other process, seen from here.
type clients struct {
	cmd      *exec.Cmd
	input    io.Closer
	received atomic.Uint64
	over     chan struct{}
}

func startClients(t testing.TB, address string, count int, carrier string) *clients {
	t.Helper()
	c := &clients{cmd: exec.Command(os.Args[0]), over: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), "MQTTPROXY_LOAD="+address+" "+strconv.Itoa(count)+" "+carrier)
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

// liveServer is a Hub behind a real HTTP server, on all carriers.
func liveServer(t testing.TB, h *Hub) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	pipes := NewPipes(PipesConfig{PerAddress: 1 << 16, PerGrant: 1 << 16, Serve: func(c Carrier, g access.Grant) bool {
		sessions.Go(func() { h.Serve(context.Background(), c, g) })
		return true
	}})
	v := Visitor{Grant: testGrant()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) {
		socket, err := pipes.Accept(w, r, "mqtt")
		switch {
		case err != nil:
		case socket.Subprotocol() == PipeSubprotocol:
			sessions.Go(func() { pipes.Carry(context.Background(), socket, v) })
		default:
			sessions.Go(func() { h.Serve(context.Background(), socket, v.Grant) })
		}
	})
	mux.HandleFunc("/live/open", func(w http.ResponseWriter, r *http.Request) { pipes.Open(w, r, v) })
	mux.HandleFunc("/live/up", func(w http.ResponseWriter, r *http.Request) { pipes.Up(w, r, v) })
	mux.HandleFunc("/live/down", func(w http.ResponseWriter, r *http.Request) { pipes.Down(w, r, v) })
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		pipes.Close()
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

// BenchmarkIdlePage tells what an idle page costs on each carrier: resident memory of this process, clients in another.
func BenchmarkIdlePage(b *testing.B) {
	const pages = 2000
	for _, carrier := range []string{"mqtt", "socket", "stream", "poll"} {
		b.Run(carrier, func(b *testing.B) {
			for b.Loop() {
				h := NewHub(Config{Source: &fakeSource{}, MaxPerKey: pages})
				h.Start()
				address := liveServer(b, h)
				before := residentBytes()
				startClients(b, address, pages, carrier)
				after := residentBytes()
				var memory runtime.MemStats
				runtime.ReadMemStats(&memory)
				b.ReportMetric(float64(memory.StackInuse)/pages/1024, "KiB-of-stacks/page")
				b.ReportMetric(float64(memory.HeapAlloc)/pages/1024, "KiB-of-heap/page")
				b.ReportMetric(float64(after-before)/pages/1024, "KiB/page")
				b.ReportMetric(float64(runtime.NumGoroutine())/pages, "goroutines/page")
			}
		})
	}
}

// BenchmarkFanOut publishes as fast as readers on two cores can take it, with never more than a window of messages on
// their way, and tells deliveries per second and CPU time of this process for each: MQTT alone on a WebSocket, and a pipe.
func BenchmarkFanOut(b *testing.B) {
	for _, carrier := range []string{"mqtt", "socket"} {
		b.Run(carrier, func(b *testing.B) { fanOut(b, carrier) })
	}
}

func fanOut(b *testing.B, carrier string) {
	const readers, ahead = 1000, 400
	source := &fakeSource{}
	h := NewHub(Config{Source: source, MaxPerKey: readers})
	h.Start()
	others := startClients(b, liveServer(b, h), readers, carrier)
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
