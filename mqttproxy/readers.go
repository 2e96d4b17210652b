package mqttproxy

import (
	"strings"

	"trellis/access"
)

// audience is everybody who reads one filter. Guarded by Hub.mu.
type audience struct {
	filter string
	by     [2][]*session // by QoS

	last   []*packet // kept messages that match, made when somebody joined
	lastOf uint64    // the version of kept that last is of
}

// subscription is one session's place in an audience.
type subscription struct {
	audience *audience
	qos      byte
	place    int // in audience.by[qos]
}

// readers finds who reads a topic. Filters without wildcards, one or two for every key, are looked up; the few with
// wildcards are tried one by one. Guarded by Hub.mu.
type readers struct {
	exact, wild map[string]*audience
	found       []*audience // used again by every find
}

func newReaders() *readers {
	return &readers{exact: map[string]*audience{}, wild: map[string]*audience{}}
}

func (r *readers) find(topic string) []*audience {
	r.found = r.found[:0]
	if a := r.exact[topic]; a != nil {
		r.found = append(r.found, a)
	}
	for filter, a := range r.wild {
		if access.Matches(filter, topic) {
			r.found = append(r.found, a)
		}
	}
	return r.found
}

func (r *readers) side(filter string) map[string]*audience {
	if strings.ContainsAny(filter, "+#") {
		return r.wild
	}
	return r.exact
}

// add makes s a reader of filter; one that it reads already at another QoS is replaced.
func (r *readers) add(s *session, filter string, qos byte) *audience {
	r.remove(s, filter)
	side := r.side(filter)
	a := side[filter]
	if a == nil {
		a = &audience{filter: filter}
		side[filter] = a
	}
	s.reads = append(s.reads, subscription{audience: a, qos: qos, place: len(a.by[qos])})
	a.by[qos] = append(a.by[qos], s)
	return a
}

func (r *readers) remove(s *session, filter string) {
	for i, sub := range s.reads {
		if sub.audience.filter == filter {
			r.leave(sub)
			s.reads[i] = s.reads[len(s.reads)-1]
			s.reads = s.reads[:len(s.reads)-1]
			return
		}
	}
}

func (r *readers) removeAll(s *session) {
	for _, sub := range s.reads {
		r.leave(sub)
	}
	s.reads = nil
}

// leave fills the place that becomes free with the last one, so that nothing has to be searched or moved up.
func (r *readers) leave(sub subscription) {
	a := sub.audience
	side := a.by[sub.qos]
	end := len(side) - 1
	moved := side[end]
	side[sub.place] = moved
	side[end] = nil
	a.by[sub.qos] = side[:end]
	for i := range moved.reads {
		if moved.reads[i].audience == a {
			moved.reads[i].place = sub.place
		}
	}
	if len(a.by[0]) == 0 && len(a.by[1]) == 0 {
		delete(r.side(a.filter), a.filter)
	}
}

// qosOf tells at which QoS s reads.
func (a *audience) qosOf(s *session) byte {
	for _, sub := range s.reads {
		if sub.audience == a {
			return sub.qos
		}
	}
	return 0
}
