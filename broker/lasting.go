package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"trellis/access"
)

const (
	sessionStream   = "$MQTT_sess"
	sessionSubjects = "$MQTT.sess.>"
)

// lasting knows every persistent session that nats keeps, present or absent. Each costs files, memory and time at every
// stop, and nats itself keeps any number of them.
type lasting struct {
	most int // of one key

	mu      sync.Mutex
	clients map[string]struct{} // ids as nats knows them; see connect.innerID
}

// take counts a session that is to be persistent; fresh says that it was not there before.
func (l *lasting) take(g access.Grant, client string) (fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.clients[client]; ok {
		return false, nil
	}
	n := 0
	for other := range l.clients {
		if strings.HasPrefix(other, g.KeyID+"_") {
			n++
		}
	}
	if n >= l.most {
		return false, ErrTooManySessions
	}
	l.clients[client] = struct{}{}
	return true, nil
}

func (l *lasting) drop(client string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.clients, client)
}

// learnSessions finds the persistent sessions that nats has stored. One that has not connected for longer than its queue
// is kept is forgotten, else a program that makes up a new client id at each start would lock its key out for good.
func learnSessions(ctx context.Context, e *engine, l Limits) (*lasting, error) {
	known := &lasting{most: l.SessionsPerKey, clients: map[string]struct{}{}}
	s, err := e.js.Stream(ctx, sessionStream)
	if err != nil {
		return nil, fmt.Errorf("find the stream of sessions: %w", err)
	}
	for sequence := uint64(1); ; {
		m, err := s.GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(sessionSubjects))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return known, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the stored sessions: %w", err)
		}
		sequence = m.Sequence + 1
		var stored struct {
			ID    string `json:"id"`
			Clean bool   `json:"clean"`
		}
		if json.Unmarshal(m.Data, &stored) != nil || stored.ID == "" {
			continue
		}
		switch { // each CONNECT writes the session anew, so the time of the message is that of the last one
		case time.Since(m.Time) > l.SessionAge:
			if err := e.hello(ctx, stored.ID); err != nil {
				return nil, fmt.Errorf("forget an old session: %w", err)
			}
		case !stored.Clean:
			known.clients[stored.ID] = struct{}{}
		}
	}
}
