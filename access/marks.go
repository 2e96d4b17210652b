package access

import (
	"cmp"
	"context"
	"fmt"
)

// HeldMarks are what is remembered about a held key beside the key.
type HeldMarks struct {
	Agreed  bool // its holder has agreed that we log in as the entity itself
	Linked  bool // somebody needed its session when it was last written down
	Watched bool // its session is held whether or not anybody is here
	Echo    Echo
	Client  string // client id of a page's own session that its link goes on with; empty: none
}

// Echo says whether the broker brings back to a key what the key itself sends.
type Echo int

// What is known of that.
const (
	EchoUnknown Echo = iota
	EchoComes
	EchoNever
)

// Mark names one of the marks.
type Mark string

// The marks.
const (
	MarkAgreed  Mark = "agreed"
	MarkLinked  Mark = "linked"
	MarkWatched Mark = "watched"
	MarkEcho    Mark = "echo"
	MarkClient  Mark = "client"
)

// mark sets one mark of a key, in the store and here.
func (k *ForeignKeys) mark(ctx context.Context, jti string, mark Mark, value any, set func(*HeldMarks)) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	if _, there := k.get(jti); !there {
		return ErrKeyUnknown
	}
	if there, err := k.store.MarkHeldKey(ctx, jti, mark, value); err != nil || !there {
		return fmt.Errorf("note about a key: %w", cmp.Or(err, ErrKeyUnknown))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	one := k.held[jti]
	set(&one.HeldMarks)
	k.held[jti] = one
	return nil
}

// Agree notes that the key's holder agrees that we log in as the entity itself.
func (k *ForeignKeys) Agree(ctx context.Context, jti string) error {
	return k.mark(ctx, jti, MarkAgreed, 1, func(m *HeldMarks) { m.Agreed = true })
}

// Agreed says whether the holder of a key of this entity has agreed to that.
func (k *ForeignKeys) Agreed(sub Subject) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.held {
		if one.Agreed && one.subject == sub {
			return true
		}
	}
	return false
}

// SetLinked writes down whether somebody needs the key's session, so that a restart can take it up again.
func (k *ForeignKeys) SetLinked(ctx context.Context, jti string, linked bool) error {
	if one, there := k.get(jti); !there || one.Linked == linked {
		return nil
	}
	return k.mark(ctx, jti, MarkLinked, number(linked), func(m *HeldMarks) { m.Linked = linked })
}

func number(is bool) int {
	if is {
		return 1
	}
	return 0
}

// SetEcho notes whether the broker brings back to a key what the key itself sends.
func (k *ForeignKeys) SetEcho(ctx context.Context, jti string, echo Echo) error {
	if one, there := k.get(jti); !there || one.Echo == echo {
		return nil
	}
	return k.mark(ctx, jti, MarkEcho, int(echo), func(m *HeldMarks) { m.Echo = echo })
}

// Echo is what is known of that.
func (k *ForeignKeys) Echo(jti string) Echo {
	one, _ := k.get(jti)
	return one.Echo
}

// SetClient notes the client id of a page's own session that the key's link goes on with; empty: it has ended.
func (k *ForeignKeys) SetClient(ctx context.Context, jti, id string) error {
	if one, there := k.get(jti); !there || one.Client == id {
		return nil
	}
	return k.mark(ctx, jti, MarkClient, id, func(m *HeldMarks) { m.Client = id })
}

// Client is what was noted of that.
func (k *ForeignKeys) Client(jti string) string {
	one, _ := k.get(jti)
	return one.Client
}

// Linked gives the Grants of those keys whose session was needed when this was last written down.
func (k *ForeignKeys) Linked() []Grant {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []Grant
	for _, one := range k.held {
		if one.Linked {
			all = append(all, one.grant())
		}
	}
	return all
}
