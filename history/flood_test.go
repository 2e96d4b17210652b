package history

import (
	"fmt"
	"testing"
	"time"

	"trellis/message"
)

// flooded is when a flood begins: a moment before an hour ends.
var flooded = time.Date(2026, 5, 1, 11, 59, 59, 950_000_000, time.UTC)

// flooding makes so many messages as devices say them that speak as fast as they can: 64 of them, three readings each, at QoS 0.
//
// They begin at this time, and come 5,000 a second.
func flooding(first, n int, began time.Time) []message.Message {
	all := make([]message.Message, 0, n)
	for i := first; i < first+n; i++ {
		at := began.Add(time.Duration(i) * 200 * time.Microsecond)
		device := fmt.Sprintf("device-%d", i%64)
		payload := fmt.Sprintf(`{"msg_type":"publish","data":{"temperature":%.1f,"humidity":%d,"n":%d},"timestamp":"%s","tags":["flood"]}`,
			20+float64(i%50)/10, i%100, i, at.Format("2006-01-02T15:04:05.000Z07:00"))
		all = append(all, message.Normalise([]byte(payload), message.Origin{
			Topic: "home/local/key" + device + "/publish", Source: "home:local:" + device, Entity: device, Received: at,
		}, func(string) bool { return false })...)
	}
	return all
}

// BenchmarkFlood measures what the record costs of 5,000 messages a second, by how many of them are taken at once. What is made of a
// payload before is not counted.
func BenchmarkFlood(b *testing.B) {
	for _, size := range []int{256, 1024, 2048, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := openStore(b, b.TempDir(), Config{})
			n := 0
			for b.Loop() {
				b.StopTimer()
				batch := flooding(n, size, flooded)
				b.StartTimer()
				mustAppend(b, s, batch...)
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(b.Elapsed().Seconds()/float64(n)*1e6, "µs/message")
		})
	}
}
