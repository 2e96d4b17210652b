package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"trellis/access"
	"trellis/demo"
	"trellis/history"
)

// pretend runs the pretend greenhouse: each of its devices is an ordinary client with a key of its own.
type pretend struct {
	keys    *access.Keys
	store   *history.Store
	account account
	log     *slog.Logger

	mu     sync.Mutex
	topics []string // on which its devices speak
}

// run gives every device its key and lets them talk until ctx ends. Keys are kept nowhere, so each start gives the
// devices new ones under the same ids: their topics and cards stay.
func (p *pretend) run(ctx context.Context, at net.Addr) error {
	past := time.Duration(0)
	fresh, err := p.fresh(ctx)
	if err != nil {
		return err
	}
	if fresh {
		past = 24 * time.Hour // so that the first look at it shows a day
		if err := p.makeButtons(ctx); err != nil {
			return fmt.Errorf("buttons of the pretend greenhouse: %w", err)
		}
	}
	logins := map[string]demo.Login{}
	for _, name := range demo.Names() {
		sub, err := subject(p.account, name)
		if err != nil {
			return err
		}
		key, err := p.key(ctx, sub)
		if err != nil {
			return fmt.Errorf("key of the pretend device %s: %w", name, err)
		}
		p.mu.Lock()
		p.topics = append(p.topics, sub.PublishTopic(key.JTI))
		p.mu.Unlock()
		logins[name] = demo.Login{Sub: key.Sub, JTI: key.JTI, Key: key.Key}
	}
	err = demo.Run(ctx, demo.Config{Broker: net.JoinHostPort(reach(at), port(at)), Logins: logins, Past: past, Log: p.log})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// speaksOn gives the topics on which its devices speak. A nil pretend has none.
func (p *pretend) speaksOn() []string {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.topics)
}

// fresh says whether the greenhouse is run in this folder for the first time: none of its devices has a key yet.
func (p *pretend) fresh(ctx context.Context) (bool, error) {
	known, err := p.keys.List(ctx)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(known, func(k access.KeyInfo) bool { return slices.Contains(demo.Names(), k.Subject.Entity) }), nil
}

// makeButtons puts a few buttons on the operator's board. Whoever removes one does not find it again.
func (p *pretend) makeButtons(ctx context.Context) error {
	board := p.account.Account + ":" + p.account.Region
	if there, err := p.store.Buttons(ctx, board); err != nil || len(there) > 0 {
		return err
	}
	return p.store.AddButtons(ctx, board,
		history.Button{
			ID: rand.Text(), Label: "Set the heating", Entity: "greenhouse-climate", Risk: "plain",
			Number: &history.Number{Name: "heating", Min: 5, Max: 30, Step: 0.5, Start: 19, Unit: "°C"},
		},
		history.Button{ID: rand.Text(), Label: "Open the roof", Entity: "greenhouse-climate", Data: `{"roof":"open"}`, Risk: "hold"},
		history.Button{ID: rand.Text(), Label: "Close the roof", Entity: "greenhouse-climate", Data: `{"roof":"closed"}`, Risk: "confirm"},
		history.Button{ID: rand.Text(), Label: "Water for 20 seconds", Entity: "greenhouse-soil", Data: `{"pump":"on","seconds":20}`, Risk: "plain", Undo: true, Most: 6, Per: 3600},
	)
}

func (p *pretend) key(ctx context.Context, sub access.Subject) (access.NewKey, error) {
	known, err := p.keys.List(ctx)
	if err != nil {
		return access.NewKey{}, err
	}
	for _, k := range known {
		if k.Subject == sub && k.Revoked.IsZero() && k.Expires.IsZero() {
			return p.keys.Renew(ctx, k.ID)
		}
	}
	return p.keys.Add(ctx, sub, time.Time{})
}

// reach is the host under which this machine finds its own port.
func reach(at net.Addr) string {
	if a, ok := at.(*net.TCPAddr); ok && !a.IP.IsUnspecified() {
		return a.IP.String()
	}
	return "127.0.0.1"
}
