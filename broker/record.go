package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"trellis/message"
)

// recordAll is the recorder's loop: whatever waits, up to a batch, is recorded in one transaction and then delivered.
//
// running ends when the router is to stop: what is in hand is still finished then, but not tried again. working ends when
// even that has to be given up.
func (r *router) recordAll(running, working context.Context) {
	for {
		batch, more := r.collect()
		if len(batch) > 0 && !r.settle(running, working, batch) {
			r.giveUp(batch)
		}
		if !more {
			return
		}
	}
}

// collect waits for something to record and takes what else is there. more is false when the router is to stop.
func (r *router) collect() (batch []routed, more bool) {
	select {
	case m, ok := <-r.fetched:
		if !ok {
			return r.leftovers(nil), false
		}
		batch = r.take(batch, m)
	case p := <-r.queue:
		batch = append(batch, p)
	}
	for len(batch) < batchSize {
		select {
		case m, ok := <-r.fetched:
			if !ok {
				return r.leftovers(batch), false
			}
			batch = r.take(batch, m)
		case p := <-r.queue:
			batch = append(batch, p)
		default:
			return batch, true
		}
	}
	return batch, true
}

// leftovers adds the QoS 0 publishes that nothing would bring back. Stored ones come back by themselves.
func (r *router) leftovers(batch []routed) []routed {
	for {
		select {
		case p := <-r.queue:
			batch = append(batch, p)
		default:
			return batch
		}
	}
}

// take adds a stored publish. Nats hands them over in order, so one that is not beyond the last is a repetition.
func (r *router) take(batch []routed, m jetstream.Msg) []routed {
	p, ok := r.stored(m)
	if !ok || p.sequence <= r.done {
		m.Ack()
		return batch
	}
	r.done = p.sequence
	return append(batch, p)
}

// settle records and delivers a batch and acknowledges it. It tries until it has, or until the router is to stop.
func (r *router) settle(running, working context.Context, batch []routed) bool {
	var all []message.Message
	for _, p := range batch {
		all = append(all, p.messages...)
	}
	recorded := r.insist(running, "record", func() error {
		err := r.record(working, all)
		r.health.recordWaits(err)
		return err
	})
	if !recorded || !r.deliver(running, working, batch) {
		return false
	}
	for _, p := range batch {
		if p.stored == nil {
			continue
		}
		if err := p.stored.Ack(); err != nil {
			r.log.Warn("a recorded publish could not be acknowledged and will come again", "error", err)
		}
	}
	return true
}

// giveUp says what is lost by stopping now. Stored publishes are not: they are the next start's work.
func (r *router) giveUp(batch []routed) {
	lost := 0
	for _, p := range batch {
		if p.stored == nil {
			lost++
		}
	}
	if lost > 0 {
		r.log.Warn("QoS 0 publishes are dropped, the record did not take them before the stop", "dropped", r.lost.Add(uint64(lost)))
	}
}

// insist tries until it works or try itself gives up, says once that it does not and once that it does again, and is cut short only
// by a stop.
func (r *router) insist(running context.Context, what string, try func() error) bool {
	pause := retryFirst
	for failed := false; ; failed = true {
		err := try()
		if err == nil {
			if failed {
				r.log.Info("messages are taken again", "step", what)
			}
			return true
		}
		if errors.Is(err, errGivenUp) {
			return true
		}
		if !failed {
			r.log.Error("messages wait, this will be tried again", "step", what, "error", err)
		}
		if !sleep(running, pause) {
			return false
		}
		pause = min(2*pause, retryLongest)
	}
}

// errGivenUp says that what could not be done has been counted and will not be tried again.
var errGivenUp = errors.New("given up")

// deliver sends every message of the batch to those it names, in order. It returns when nats has them all on disk, or has
// refused for so long that the rest must not wait any more: those are counted, and they are in the record all the same.
func (r *router) deliver(running, working context.Context, batch []routed) bool {
	var due []*nats.Msg
	for _, p := range batch {
		for _, m := range p.messages {
			for _, topic := range r.addressees(p, m) {
				due = r.due(due, topic, m)
			}
		}
	}
	if len(due) == 0 {
		return true
	}
	until := time.Now().Add(r.patience)
	return r.insist(running, "deliver", func() (err error) {
		if due, err = r.store(working, due); err != nil {
			r.health.doubt()
		}
		switch {
		case err == nil && r.patience == 0:
			r.patience = deliverWithin
			r.log.Info("messages are delivered again", "undeliverable", r.undeliverable.Load())
		case err != nil && working.Err() == nil && !time.Now().Before(until):
			all := r.undeliverable.Add(uint64(len(due)))
			if r.patience > 0 {
				r.log.Error("messages are recorded but cannot be delivered", "undeliverable", all, "error", err)
			}
			r.patience = 0 // the next ones are tried once, until one gets through
			return errGivenUp
		}
		return err
	})
}

func (r *router) due(all []*nats.Msg, topic string, m message.Message) []*nats.Msg {
	subject, ok := subjectOf(topic)
	if !ok {
		return all
	}
	if len(m.Payload) > r.maxPayload {
		r.undeliverable.Add(1)
		r.log.Error("a message is too large to be delivered", "topic", topic, "id", m.ID, "bytes", len(m.Payload))
		return all
	}
	return append(all, routedPublish(subject, m.Payload, '1'))
}

// routedPublish is a publish as nats's own MQTT side stores it: with the QoS in a header.
func routedPublish(subject string, payload []byte, qos byte) *nats.Msg {
	out := nats.NewMsg(streamPrefix + subject)
	out.Header.Set(qosHeader, string(qos))
	out.Data = payload
	return out
}

// store does what nats's MQTT side does with a QoS 1 publish: it goes to the stream, which feeds subscribers at QoS 1
// and 2, present and absent, and on the plain subject to those at QoS 0. Each side knows by the header what is the
// other's. store gives back those that failed.
func (r *router) store(ctx context.Context, due []*nats.Msg) (failed []*nats.Msg, err error) {
	acks := make([]jetstream.PubAckFuture, len(due))
	for i, m := range due {
		if acks[i], err = r.engine.js.PublishMsgAsync(m); err != nil {
			err = errors.Join(err, r.await(ctx, due[:i], acks[:i], &failed))
			return append(failed, due[i:]...), err
		}
	}
	err = r.await(ctx, due, acks, &failed)
	return failed, err
}

// await waits for nats's acknowledgements and sends each stored message on to subscribers at QoS 0.
func (r *router) await(ctx context.Context, sent []*nats.Msg, acks []jetstream.PubAckFuture, failed *[]*nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin) // for all of them together
	defer cancel()
	var problem error
	for i, ack := range acks {
		var err error
		select {
		case <-ack.Ok():
			err = r.engine.conn.PublishMsg(plainCopy(sent[i]))
		case err = <-ack.Err():
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			problem = fmt.Errorf("nats did not take it: %w", err)
			*failed = append(*failed, sent[i])
		}
	}
	return problem
}

func plainCopy(m *nats.Msg) *nats.Msg {
	return &nats.Msg{Subject: strings.TrimPrefix(m.Subject, streamPrefix), Header: m.Header, Data: m.Data}
}

// publish is for our own pages: the same way in as a device's publish.
func (r *router) publish(ctx context.Context, topic string, payload []byte, qos byte) error {
	subject, ok := subjectOf(topic)
	if _, sender := senderOf(subject); !ok || !sender {
		return ErrTopic
	}
	m := routedPublish(subject, payload, '0'+min(qos, 1))
	if qos > 0 {
		if _, err := r.engine.js.PublishMsg(ctx, m); err != nil {
			r.health.doubt()
			return fmt.Errorf("store it: %w", err)
		}
	}
	if err := r.engine.conn.PublishMsg(plainCopy(m)); err != nil && qos == 0 {
		return err
	}
	return nil
}

// catchUp handles what was accepted before the last stop. First what had been handed to the recorder and not
// acknowledged, which nats would hand over again only later and out of order; then what nobody has seen yet.
func (r *router) catchUp(ctx context.Context, s jetstream.Stream, recorder jetstream.Consumer) error {
	info, err := recorder.Info(ctx)
	if err != nil {
		return err
	}
	for next := info.AckFloor.Stream + 1; next <= info.Delivered.Stream; {
		var batch []routed
		batch, next, err = r.read(ctx, s, next, info.Delivered.Stream)
		if err == nil {
			err = r.settleOnce(ctx, batch)
		}
		if err != nil {
			return err
		}
	}
	r.done = info.Delivered.Stream
	for left := info.NumPending; left > 0; {
		got, err := r.fetch(ctx, recorder)
		if err != nil {
			return err
		}
		left -= min(left, got)
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

// fetch handles one batch that the recorder has not been handed before.
func (r *router) fetch(ctx context.Context, recorder jetstream.Consumer) (uint64, error) {
	taken, err := recorder.Fetch(batchSize, jetstream.FetchMaxWait(time.Second))
	if err != nil {
		return 0, err
	}
	var batch []routed
	var got uint64
	for m := range taken.Messages() {
		batch = r.take(batch, m)
		got++
	}
	if err := taken.Error(); err != nil {
		return got, err
	}
	if got == 0 {
		return 1, nil // counted by nats and gone since: by its age, or with the session that wanted it
	}
	return got, r.settleOnce(ctx, batch)
}

// settleOnce is settle at start, when a record that does not work is better said than waited for.
func (r *router) settleOnce(ctx context.Context, batch []routed) error {
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
	if !r.deliver(ctx, ctx, batch) {
		return ctx.Err()
	}
	for _, p := range batch {
		if p.stored != nil {
			p.stored.Ack()
		}
	}
	return nil
}
