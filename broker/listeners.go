package broker

import (
	"slices"
	"sync"

	"trellis/message"
)

// listeners are those who watch messages as they pass.
type listeners struct {
	mu  sync.RWMutex
	all []*listener
}

type listener struct {
	deliver func(topic string, m message.Message)
}

func (l *listeners) add(deliver func(string, message.Message)) (stop func()) {
	one := &listener{deliver}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(slices.Clone(l.all), one)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = slices.DeleteFunc(slices.Clone(l.all), func(o *listener) bool { return o == one })
	}
}

func (l *listeners) tell(topic string, m message.Message) {
	l.mu.RLock()
	all := l.all // never changed in place
	l.mu.RUnlock()
	for _, one := range all {
		one.deliver(topic, m)
	}
}
