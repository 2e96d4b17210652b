package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
)

// ServeListener serves every connection that l accepts, until ctx ends or l is closed, and returns when they are over.
func (b *Broker) ServeListener(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var served sync.WaitGroup
	defer served.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	for pause := time.Duration(0); ; {
		device, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			served.Go(func() { b.ServeConn(ctx, device) })
		case errors.Is(err, net.ErrClosed):
			return nil
		case !passing(err):
			return fmt.Errorf("accept device: %w", err)
		default:
			// Out of file descriptors: those who are here go on, and leaving ones make room.
			pause = min(max(2*pause, firstPause), longestPause)
			b.log.WarnContext(ctx, "no connection can be accepted for the moment", "error", err, "pause", pause)
			if !sleep(ctx, pause) {
				return nil
			}
		}
	}
}

// passing says whether accepting may work again later.
func passing(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
