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
	if len(r.owed) > 0 && !r.deliver(running, working, r.owed) {
		r.recordRest(running, working) // nothing of what is owed was acknowledged: the next start owes it
		return
	}
	r.owed = nil
	for enough := (<-chan time.Time)(nil); ; {
		batch, more := r.collect(enough)
		began := time.Now()
		if len(batch) > 0 && !r.settle(running, working, batch) {
			r.giveUp(batch)
		}
		if !more {
			r.recordRest(running, working)
			return
		}
		enough = nil
		if left := gatherFor - time.Since(began); len(batch) >= gatherFrom && left > 0 {
			enough = time.After(left)
		}
	}
}

// What is recorded at once. A batch costs a sync, and the same for each reading in it however often that is in it: where much comes, few large
// ones cost a fraction of many small ones.
const (
	largestBatch = 4096
	largestBytes = 8 << 20                // of messages; a single publish may be larger
	largestDue   = batchSize              // messages to be delivered: each takes a sync, for which those behind it wait
	gatherFrom   = 64                     // publishes in a batch: after so many the next one is given time to grow
	gatherFor    = 200 * time.Millisecond // from the beginning of the one before it
)

// collect waits for something to record and takes what else is there. What came at QoS 0 is left to gather until enough; what is stored does
// not wait, since somebody may wait for it. more is false when the router is to stop.
func (r *router) collect(enough <-chan time.Time) (batch []routed, more bool) {
	came := r.queue.came
	if enough != nil {
		came = nil
	}
	var has size
	select {
	case m, ok := <-r.fetched:
		if !ok {
			return nil, false
		}
		batch = r.take(batch, m, &has)
	case <-came:
	case <-enough:
	}
	if batch, more = r.takeStored(batch, &has, 2); !more { // the other half is for QoS 0, however much of this comes
		return batch, false
	}
	batch = r.queue.take(batch, has.room)
	return r.takeStored(batch, &has, 1)
}

// takeStored takes the stored publishes that are there, until the batch is full by this part.
func (r *router) takeStored(batch []routed, has *size, part int) (_ []routed, more bool) {
	for !has.full(part) {
		select {
		case m, ok := <-r.fetched:
			if !ok {
				return batch, false
			}
			batch = r.take(batch, m, has)
		default:
			return batch, true
		}
	}
	return batch, true
}

// size is what a batch has.
type size struct{ publishes, bytes, due int }

// full says whether it has half (2) or all (1) of what it may have.
func (s *size) full(part int) bool {
	return s.publishes >= largestBatch/part || s.bytes >= largestBytes/part || s.due >= largestDue/part
}

func (s *size) add(p *routed) {
	s.publishes++
	s.bytes += p.weight()
	for i := range p.messages {
		if p.messages[i].For != "" {
			s.due++
		}
	}
}

// room adds a publish if there is room for it.
func (s *size) room(p *routed) bool {
	if s.full(1) {
		return false
	}
	s.add(p)
	return true
}

// recordRest records the QoS 0 publishes that nothing would bring back. Stored ones come back by themselves.
func (r *router) recordRest(running, working context.Context) {
	for {
		var has size
		rest := r.queue.take(nil, has.room)
		if len(rest) == 0 {
			return
		}
		if !r.settle(running, working, rest) {
			r.giveUp(rest)
		}
	}
}

// take adds a stored publish. Nats hands them over in order, so one that is not beyond the last is a repetition.
func (r *router) take(batch []routed, m jetstream.Msg, has *size) []routed {
	p, ok := r.stored(m)
	if !ok || p.sequence <= r.done {
		m.Ack()
		return batch
	}
	r.done = p.sequence
	has.add(&p)
	return append(batch, p)
}

// settle records and delivers a batch and acknowledges it. It tries until it has, or until the router is to stop.
func (r *router) settle(running, working context.Context, batch []routed) bool {
	var all []message.Message
	for _, p := range batch {
		all = append(all, p.messages...)
	}
	recorded := r.insist(running, "record", func() error {
		err := r.health.trusted() // where nats is not, nothing is recorded either: what is said of it is then true of all of it
		if err == nil {
			err = r.record(working, all)
		}
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
	for _, p := range batch {
		if p.stored == nil {
			r.lose(p.topic())
		}
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
		case err != nil && working.Err() == nil && r.health.trusted() == nil && !time.Now().Before(until): // else the next start delivers it
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
	for len(due) > 0 && err == nil {
		some := due[:min(len(due), r.hold.share())]
		began := time.Now()
		var left []*nats.Msg
		left, err = r.storeSome(ctx, some)
		if err == nil {
			r.hold.stored(time.Since(began))
		}
		failed, due = append(failed, left...), due[len(some):]
	}
	return append(failed, due...), err
}

func (r *router) storeSome(ctx context.Context, due []*nats.Msg) (failed []*nats.Msg, err error) {
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
	ctx, cancel := context.WithTimeout(ctx, deliverWithin) // for all of them together
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
