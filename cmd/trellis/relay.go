package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"golang.org/x/sync/errgroup"

	"trellis/access"
	"trellis/message"
	"trellis/mqttproxy"
)

// relay lets the hub stand on another service's broker: what its links bring is normalised as the broker inside would have it.
type relay struct {
	feed
	service *access.Service
	keys    *access.ForeignKeys

	watching map[string]func() // releases the link of each watched key; guarded by feed.mu
}

// Publish sends a page's message to the service.
func (r *relay) Publish(ctx context.Context, topic string, payload []byte, qos byte) error {
	return r.links.Publish(ctx, topic, payload, qos)
}

// State is nobody's: every key has a link of its own.
func (r *relay) State() mqttproxy.State { return mqttproxy.State{} }

// StateOf tells how a key's link is.
func (r *relay) StateOf(g access.Grant) mqttproxy.State { return r.links.StateOf(g) }

// Need keeps a key's link while a page is there, or something of a program waits to be sent.
func (r *relay) Need(g access.Grant) (release func()) { return r.links.Need(g) }

// Ready waits for a connection of a key's link.
func (r *relay) Ready(ctx context.Context, g access.Grant) error { return r.links.Ready(ctx, g) }

// Answers says whether the service's broker answers on a key's link.
func (r *relay) Answers(ctx context.Context, g access.Grant) error { return r.links.Answers(ctx, g) }

// Cut ends the connection of a key's link.
func (r *relay) Cut(g access.Grant) { r.links.Cut(g) }

// listen keeps a key's link for a while: a program has asked what it has heard, and may ask again.
func (r *relay) listen(g access.Grant) { r.links.Need(g)() }

// resume takes up the links that were needed when the last run ended: what came at QoS 1 meanwhile waits for them. They linger for the
// pages to come back. Those of watched keys stay.
func (r *relay) resume() {
	for _, g := range r.keys.Linked() {
		r.links.Need(g)()
	}
	for _, g := range r.keys.Watched() {
		r.watchKey(g, true)
	}
}

// watchKey needs a key's link as a page does that never goes, or does no more.
func (r *relay) watchKey(g access.Grant, watched bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	release, already := r.watching[g.KeyID]
	switch {
	case watched && !already:
		r.watching[g.KeyID] = r.links.Need(g)
	case !watched && already:
		delete(r.watching, g.KeyID)
		release()
	}
}

// unwatch lets go of the link of a key that has ended.
func (r *relay) unwatch(keyID string) { r.watchKey(access.Grant{KeyID: keyID}, false) }

// watch has a key's link held for ever, or not any more. Whoever turns it on wants the connection now.
func (r *relay) watch(ctx context.Context, g access.Grant, watched bool) error {
	if r.keys.IsWatched(g.KeyID) == watched {
		return nil // asking again and again is no way to have the broker asked so often
	}
	if err := r.keys.SetWatched(ctx, g.KeyID, watched); err != nil {
		return err
	}
	if watched {
		r.links.Try(g.KeyID)
	}
	return nil
}

func (r *relay) watched(g access.Grant) bool { return r.keys.IsWatched(g.KeyID) }

// linked writes down who is to be resumed.
func (r *relay) linked(keyID string, linked bool) {
	if err := r.keys.SetLinked(context.Background(), keyID, linked); err != nil {
		r.log.Warn("a restart will not take up this key's link by itself", "jti", keyID, "err", err)
	}
}

// echoed writes down whether the broker brings back to a key what the key sends.
func (r *relay) echoed(keyID string, echo access.Echo) {
	err := r.keys.SetEcho(context.Background(), keyID, echo)
	r.log.Info("whether the upstream broker brings back what a key sends is known now", "jti", keyID, "comes", echo == access.EchoComes, "err", err)
}

// wentOn writes down which page's session a key's link goes on with, so that it does after a restart.
func (r *relay) wentOn(keyID, clientID string) {
	if err := r.keys.SetClient(context.Background(), keyID, clientID); err != nil {
		r.log.Warn("after a restart this key's link will not go on with the session it has now", "jti", keyID, "err", err)
	}
}

// agree has the key's link log in as the entity itself, now.
func (r *relay) agree(ctx context.Context, g access.Grant) error {
	if err := r.keys.Agree(ctx, g.KeyID); err != nil {
		return err
	}
	r.links.Try(g.KeyID)
	return nil
}

// understand normalises what a link brought.
func (r *relay) understand(a mqttproxy.Arrival) []message.Message {
	path := a.Subject.String()
	from := message.Origin{Topic: a.Topic, Received: a.At}
	if a.Topic == a.Subject.PublishTopic(a.KeyID) {
		from.Source, from.Entity = path, a.Subject.Entity
	} else {
		from.Hearer = message.Hearer{Entity: a.Subject.Entity, Path: path}
	}
	if a.Retained { // it comes again with every connection
		sum := sha256.Sum256([]byte(a.Topic + "\x00" + string(a.Payload)))
		from.ID = "retained-" + hex.EncodeToString(sum[:])
	}
	return message.Normalise(a.Payload, from, func(name string) bool { return r.keys.Known(a.Subject.Account, name) })
}

// Close ends the links. The service's broker keeps what comes at QoS 1 for them until the next start.
func (r *relay) Close(ctx context.Context) error {
	defer r.service.Close()
	return r.feed.Close(ctx)
}

// Watch asks the service from time to time whether the keys are still good, and notes when nothing is heard.
func (r *relay) Watch(ctx context.Context) error {
	var both errgroup.Group
	both.Go(func() error { return r.keys.Watch(ctx) })
	both.Go(func() error { return r.noteGaps(ctx, r.held) })
	return both.Wait()
}

// held are the ids of all keys that are held here.
func (r *relay) held() []string {
	var ids []string
	for _, one := range r.keys.List() {
		ids = append(ids, one.ID)
	}
	return ids
}
