package broker

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Memory that may be taken by QoS 0 publishes that wait, to be shown and then to be recorded: what devices say in some seconds at 5,000 messages a
// second. What is short takes more than it has bytes, so it is not counted in messages.
const (
	arrivedBytes = 32 << 20
	queuedBytes  = 64 << 20
	arrivalBytes = 640 // of an arrival beside its payload
)

// backlog is where QoS 0 publishes wait. Nothing would bring them back.
type backlog[T any] struct {
	came   chan struct{} // there is something
	weight func(*T) int  // bytes of memory

	mu    sync.Mutex
	all   []T
	bytes int
	most  int
}

func newBacklog[T any](most int, weight func(*T) int) *backlog[T] {
	return &backlog[T]{came: make(chan struct{}, 1), weight: weight, most: most}
}

// put gives false where that would be too much.
func (b *backlog[T]) put(one T) bool {
	size := b.weight(&one)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes+size > b.most {
		return false
	}
	b.bytes += size
	b.all = append(b.all, one)
	b.tell()
	return true
}

// tell wakes whoever waits; mu is held.
func (b *backlog[T]) tell() {
	select {
	case b.came <- struct{}{}:
	default:
	}
}

// take adds the first of those that wait to a batch, as long as there is room in it for one more.
func (b *backlog[T]) take(batch []T, room func(*T) bool) []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for ; n < len(b.all) && room(&b.all[n]); n++ {
		b.bytes -= b.weight(&b.all[n])
	}
	batch = append(batch, b.all[:n]...)
	left := copy(b.all, b.all[n:])
	clear(b.all[left:])
	if b.all = b.all[:left]; left > 0 {
		b.tell()
	}
	return batch
}

// arrival is a QoS 0 publish as it came.
type arrival struct {
	*nats.Msg
	at time.Time
}

func (a *arrival) weight() int { return arrivalBytes + len(a.Subject) + len(a.Data) }

// weight is how many bytes of memory a publish takes.
func (p *routed) weight() (n int) {
	for i := range p.messages {
		n += p.messages[i].Weight()
	}
	return n
}
