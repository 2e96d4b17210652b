package broker

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// BenchmarkPublish measures acknowledged QoS 1 publishes a second: each waits for its PUBACK, every one is synced first.
func BenchmarkPublish(b *testing.B) {
	for _, clients := range []int{1, 50} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			h := start(b, unpaced, func(c *Config) { c.SyncEvery = 0 })
			devices := make([]*device, clients)
			for i := range devices {
				devices[i] = h.login(shed, func(c *connect) { c.client = fmt.Sprintf("%s#%d", c.client, i) })
			}
			var all sync.WaitGroup
			b.ResetTimer()
			for i, d := range devices {
				all.Go(func() {
					for n := i; n < b.N; n += clients {
						d.publish(shed.publishTopic(), `{"msg_type":"publish","data":{"temperature":25.5}}`, 1)
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
			b.StopTimer()
			h.book.hold(b, b.N)
		})
	}
}

// BenchmarkIdle measures what one quiet connection keeps: gate and nats together, and the test's own socket. At QoS 1
// nats keeps a consumer for it besides.
func BenchmarkIdle(b *testing.B) {
	for name, filters := range map[string][]string{"connected": nil, "subscribed": {shed.messagesTopic()}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(perConnection(b, filters), "B/conn")
			}
		})
	}
}

func perConnection(b *testing.B, filters []string) float64 {
	const n = 500
	h := start(b, func(c *Config) { c.Limits.PerKey = 2 * n })
	defer h.stop()
	before := inUse()
	for i := range n {
		d := h.login(shed, func(c *connect) { c.client = fmt.Sprintf("%s#%d", c.client, i) })
		if filters != nil {
			d.subscribe(1, filters...)
		}
	}
	return float64(inUse()-before) / n
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
