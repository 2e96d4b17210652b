package mqttproxy

import (
	"container/list"

	"trellis/access"
)

// Bounds of what is kept for those who join later.
const (
	keptParts  = 256       // per topic, as history keeps
	keptBytes  = 256 << 10 // per topic
	keptTopics = 10_000
)

// kept is the last message of every (topic, part), oldest first. Guarded by Hub.mu.
type kept struct {
	topics  map[string]*keptTopic
	recent  list.List // of *keptTopic, the one longest without news in front
	oldest  *packet
	newest  *packet
	count   int
	version uint64 // goes up with every change
}

type keptTopic struct {
	name  string
	parts map[string]*packet
	bytes int
	place *list.Element
}

func newKept() *kept { return &kept{topics: map[string]*keptTopic{}} }

// put makes p the last message of these parts of its topic; p.seq must be higher than any before.
func (k *kept) put(p *packet, parts []string) {
	if len(parts) == 0 || len(p.wire) > keptBytes {
		return
	}
	if len(parts) > keptParts {
		parts = parts[:keptParts]
	}
	k.version++
	t := k.topic(p.topic)
	k.link(p)
	t.bytes += len(p.wire)
	for _, part := range parts {
		if before := t.parts[part]; before != p {
			k.release(t, before)
			t.parts[part] = p
			p.parts++
		}
	}
	for len(t.parts) > keptParts || t.bytes > keptBytes {
		k.forgetOldest(t)
	}
}

func (k *kept) topic(name string) *keptTopic {
	if t := k.topics[name]; t != nil {
		k.recent.MoveToBack(t.place)
		return t
	}
	if len(k.topics) >= keptTopics {
		k.forget(k.recent.Front().Value.(*keptTopic))
	}
	t := &keptTopic{name: name, parts: map[string]*packet{}}
	t.place = k.recent.PushBack(t)
	k.topics[name] = t
	return t
}

func (k *kept) forget(t *keptTopic) {
	for _, p := range t.parts {
		k.release(t, p)
	}
	k.recent.Remove(t.place)
	delete(k.topics, t.name)
}

// forgetOldest lets go of the oldest message of a topic that holds too much.
func (k *kept) forgetOldest(t *keptTopic) {
	var oldest *packet
	for _, p := range t.parts {
		if oldest == nil || p.seq < oldest.seq {
			oldest = p
		}
	}
	for part, p := range t.parts {
		if p == oldest {
			delete(t.parts, part)
			k.release(t, p)
		}
	}
}

// release says that p is no longer the last message of one part; after the last part it is unlinked.
func (k *kept) release(t *keptTopic, p *packet) {
	if p == nil {
		return
	}
	if p.parts--; p.parts == 0 {
		t.bytes -= len(p.wire)
		k.unlink(p)
	}
}

func (k *kept) link(p *packet) {
	if p.older = k.newest; p.older == nil {
		k.oldest = p
	} else {
		p.older.newer = p
	}
	k.newest = p
	k.count++
}

func (k *kept) unlink(p *packet) {
	if p.older == nil {
		k.oldest = p.newer
	} else {
		p.older.newer = p.newer
	}
	if p.newer == nil {
		k.newest = p.older
	} else {
		p.newer.older = p.older
	}
	p.older, p.newer = nil, nil // a slow reader that still holds p must not hold its neighbours
	k.count--
}

// matching gives the kept messages whose topic matches one of the filters, oldest first, each once.
func (k *kept) matching(filters []string) []*packet {
	var all []*packet
	for p := k.oldest; p != nil; p = p.newer {
		for _, filter := range filters {
			if access.Matches(filter, p.topic) {
				all = append(all, p)
				break
			}
		}
	}
	return all
}
