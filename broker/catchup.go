package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"trellis/message"
)

// mostOwed is how many bytes of messages that were recorded at the start may wait to be delivered after it.
const mostOwed = 8 << 20

// catchUp records what was accepted before the last stop. Delivering takes a sync for each message and is left to the recorder: it
// must not hold up the start. First comes what had been handed to the recorder and not acknowledged, which nats would hand over
// again only later and out of order: it is owed. What nobody has seen yet the recorder gets from nats as ever.
func (r *router) catchUp(ctx context.Context, s jetstream.Stream, recorder jetstream.Consumer) error {
	began := time.Now()
	info, err := recorder.Info(ctx)
	if err != nil {
		return err
	}
	bytes := 0
	for next := info.AckFloor.Stream + 1; next <= info.Delivered.Stream; {
		var batch []routed
		batch, next, err = r.read(ctx, s, next, info.Delivered.Stream)
		if err == nil {
			err = r.recordOnce(ctx, batch)
		}
		if err != nil {
			return err
		}
		for _, p := range batch {
			for _, m := range p.messages {
				bytes += len(m.Payload)
			}
		}
		if r.owed = append(r.owed, batch...); bytes <= mostOwed {
			continue
		}
		if !r.deliver(ctx, ctx, r.owed) {
			return ctx.Err()
		}
		r.owed, bytes = nil, 0
	}
	r.done = info.Delivered.Stream
	if err := r.recordAhead(ctx, info.NumPending); err != nil {
		return err
	}
	r.log.Debug("recorded what was accepted before the last stop", "owed", len(r.owed), "pending", info.NumPending, "took", time.Since(began))
	return nil
}

// recordAhead records what waits for the recorder, which finds it recorded then.
func (r *router) recordAhead(ctx context.Context, left uint64) error {
	if left == 0 {
		return nil
	}
	ahead, err := r.engine.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		FilterSubject: streamPrefix + publishes, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, InactiveThreshold: time.Minute,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.done + 1,
	})
	if err != nil {
		return err
	}
	for left > 0 {
		got, err := r.fetch(ctx, ahead, int(min(left, batchSize)))
		if err != nil {
			return err
		}
		left -= min(left, got)
	}
	return r.engine.js.DeleteConsumer(ctx, stream, ahead.CachedInfo().Name)
}

// fetch records one batch. It asks for no more than there is: nats would wait for the rest.
func (r *router) fetch(ctx context.Context, from jetstream.Consumer, most int) (uint64, error) {
	taken, err := from.Fetch(most, jetstream.FetchMaxWait(time.Second))
	if err != nil {
		return 0, err
	}
	var batch []routed
	var got uint64
	for m := range taken.Messages() {
		if p, ok := r.stored(m); ok {
			batch = append(batch, p)
		}
		got++
	}
	if err := taken.Error(); err != nil {
		return got, err
	}
	if got == 0 {
		return 1, nil // counted by nats and gone since: by its age, or with the session that wanted it
	}
	return got, r.recordOnce(ctx, batch)
}

// recordOnce tries once: at the start a record that does not work is better said than waited for.
func (r *router) recordOnce(ctx context.Context, batch []routed) error {
	var all []message.Message
	for _, p := range batch {
		all = append(all, p.messages...)
	}
	if len(all) == 0 {
		return nil
	}
	if err := r.record(ctx, all); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// read takes a batch of publishes between two sequences out of the stream itself and says where to go on. It has nats look
// for the next one each time: most of what lies between was acknowledged and is gone, or was never a publish.
func (r *router) read(ctx context.Context, s jetstream.Stream, first, last uint64) ([]routed, uint64, error) {
	var batch []routed
	next := first
	for len(batch) < batchSize {
		m, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(streamPrefix+publishes))
		if errors.Is(err, jetstream.ErrMsgNotFound) || (err == nil && m.Sequence > last) {
			return batch, last + 1, nil
		}
		if err != nil {
			return nil, 0, err
		}
		if p, ok := r.understand(strings.TrimPrefix(m.Subject, streamPrefix), m.Data, r.id(m.Sequence), m.Time); ok {
			batch = append(batch, p)
		}
		next = m.Sequence + 1
	}
	return batch, next, nil
}
