package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	tendEvery  = 5 * time.Second
	purgeSteps = 64

	incomingTwoStream = "$MQTT_qos2in"
)

// keeper keeps what waits for absent sessions from filling the store. One such session could otherwise collect until
// nobody can publish or log in any more. When three quarters of what nats may keep of messages are used it drops the
// oldest down to five eighths, and says how many. Nats's own limit behind it drops too, but uncounted.
//
// It never drops what has not been recorded; only nats does, when the recorder is that much behind.
type keeper struct {
	engine *engine
	log    *slog.Logger
	doubt  func()
	most   int64 // bytes in the stream of MQTT messages

	dropped atomic.Uint64
	behind  bool // said that the recorder keeps us from making room
}

func messageBytes(l Limits) int64 { return l.MaxStore / 2 }

// startBounded starts nats and limits its streams first of all, which makes room in a store that is full: there nats
// would not even take the session that wakes it. Nor does it let go of more than it may keep, which is what there is when
// the limit was larger before; so then it is done by a nats without one.
func startBounded(ctx context.Context, c Config, h *health) (*engine, error) {
	none := c.Limits
	none.MaxStore = math.MaxInt64 / 4
	for _, l := range []Limits{c.Limits, none, c.Limits} {
		e, err := startEngine(c.Dir, c.SyncEvery, l, h, c.Log)
		if err != nil {
			return nil, err
		}
		err = e.bound(ctx, c.Limits)
		if err == nil && l == c.Limits {
			return e, nil
		}
		_ = e.close(context.WithoutCancel(ctx))
		if err != nil && !storeFull(err) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("more is stored in %s than MaxStore allows, and it cannot be made less", c.Dir)
}

// bound limits the streams that nats's MQTT side leaves unlimited. Those that are not there yet are left out. It works on
// a store that is full, and makes room there.
func (e *engine) bound(ctx context.Context, l Limits) error {
	for name, most := range map[string]int64{stream: messageBytes(l), incomingTwoStream: l.MaxStore / 8} {
		s, err := e.js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("find the stream %s: %w", name, err)
		}
		c := s.CachedInfo().Config
		if c.MaxBytes == most && c.MaxAge == l.SessionAge {
			continue
		}
		c.MaxBytes, c.MaxAge = most, l.SessionAge
		c.Duplicates = min(c.Duplicates, l.SessionAge)
		if _, err := e.js.UpdateStream(ctx, c); err != nil {
			return fmt.Errorf("limit the stream %s: %w", name, err)
		}
	}
	return nil
}

func (k *keeper) run(ctx context.Context) {
	for sleep(ctx, tendEvery) {
		if err := k.tend(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn("the store cannot be looked after", "error", err)
			k.doubt()
		}
	}
}

// tend makes room if there is need.
func (k *keeper) tend(ctx context.Context) error {
	s, err := k.engine.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	before := s.CachedInfo().State
	if int64(before.Bytes) <= k.most/4*3 {
		k.behind = false
		return nil
	}
	recorded, err := k.recorded(ctx, s, before)
	if err != nil {
		return err
	}
	waiting, err := backlogs(ctx, s)
	if err != nil {
		return err
	}
	dropped, after, err := k.makeRoom(ctx, s, before, recorded)
	if dropped > 0 {
		sessions := 0
		for _, floor := range waiting {
			if floor+1 < after.FirstSeq {
				sessions++
			}
		}
		k.log.Warn("the oldest messages that waited for absent sessions are dropped, the store is full",
			"dropped", dropped, "sessions", sessions, "in all", k.dropped.Add(dropped))
	}
	if err == nil && int64(after.Bytes) > k.most/4*3 && !k.behind {
		k.behind = true
		k.log.Error("the store fills because the record is far behind; when it is full the oldest messages are lost",
			"bytes", after.Bytes, "limit", k.most)
	}
	return err
}

// recorded gives the sequence up to which everything has been recorded.
func (k *keeper) recorded(ctx context.Context, s jetstream.Stream, now jetstream.StreamState) (uint64, error) {
	c, err := s.Consumer(ctx, recorderName)
	if err != nil {
		return 0, fmt.Errorf("ask how far the record is: %w", err)
	}
	info := c.CachedInfo()
	if info.NumPending == 0 && info.NumAckPending == 0 {
		return now.LastSeq, nil
	}
	return info.AckFloor.Stream, nil
}

// backlogs gives the floors of those, other than ourselves, for whom something waits.
func backlogs(ctx context.Context, s jetstream.Stream) ([]uint64, error) {
	var floors []uint64
	all := s.ListConsumers(ctx)
	for info := range all.Info() {
		if info.Config.Durable != "" && info.Config.Durable != recorderName && info.NumPending+uint64(info.NumAckPending) > 0 {
			floors = append(floors, info.AckFloor.Stream)
		}
	}
	if err := all.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
		return nil, fmt.Errorf("list who waits: %w", err)
	}
	return floors, nil
}

// makeRoom drops the oldest in small steps, since a span of sequences may hold many messages or nearly none.
func (k *keeper) makeRoom(ctx context.Context, s jetstream.Stream, now jetstream.StreamState, recorded uint64) (uint64, jetstream.StreamState, error) {
	var dropped uint64
	for range purgeSteps {
		if int64(now.Bytes) <= k.most/8*5 || now.FirstSeq > recorded {
			break
		}
		span := max(1, (now.LastSeq-now.FirstSeq)/16)
		n, err := k.engine.purge(ctx, min(now.FirstSeq+span, recorded+1))
		dropped += n
		if err != nil {
			return dropped, now, err
		}
		info, err := s.Info(ctx)
		if err != nil {
			return dropped, now, err
		}
		now = info.State
	}
	return dropped, now, nil
}

// purge drops what is older than the sequence and gives how many that were, which the library keeps to itself.
func (e *engine) purge(ctx context.Context, before uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	ask, err := json.Marshal(map[string]uint64{"seq": before})
	if err != nil {
		return 0, fmt.Errorf("drop the oldest messages: %w", err)
	}
	answer, err := e.conn.RequestWithContext(ctx, "$JS.API.STREAM.PURGE."+stream, ask)
	if err != nil {
		return 0, fmt.Errorf("drop the oldest messages: %w", err)
	}
	var said struct {
		Purged uint64              `json:"purged"`
		Error  *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &said); err != nil {
		return 0, fmt.Errorf("drop the oldest messages: %w", err)
	}
	if said.Error != nil {
		return 0, fmt.Errorf("drop the oldest messages: %w", said.Error)
	}
	return said.Purged, nil
}
