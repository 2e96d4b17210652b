package broker

import (
	"net"
	"sync"
)

// line is a device's connection whose closing may take long: a WebSocket takes leave of its other end and gives it a
// second to answer. So hangUp only begins it, and whoever serves the device waits for the end of it with Close.
type line struct {
	net.Conn
	once sync.Once
	down chan struct{} // closed when Conn is
}

func newLine(device net.Conn) *line { return &line{Conn: device, down: make(chan struct{})} }

func (l *line) hangUp() {
	l.once.Do(func() {
		go func() {
			defer close(l.down)
			_ = l.Conn.Close()
		}()
	})
}

// Close hangs up and waits until that is done.
func (l *line) Close() error {
	l.hangUp()
	<-l.down
	return nil
}

// endAll ends visits at the same time: one whose way to nats is stuck holds its end up for half a second.
func endAll(visits []*visit, reason error) {
	var ends sync.WaitGroup
	for _, v := range visits {
		ends.Go(func() { v.end(reason) })
	}
	ends.Wait()
}
