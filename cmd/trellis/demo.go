package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"trellis/access"
	"trellis/demo"
)

// pretend runs the pretend greenhouse: each of its devices is an ordinary client with a key of its own.
type pretend struct {
	keys    *access.Keys
	account account
	log     *slog.Logger
}

// run gives every device its key and lets them talk until ctx ends. Keys are kept nowhere, so each start gives the
// devices new ones under the same ids: their topics and cards stay.
func (p *pretend) run(ctx context.Context, at net.Addr) error {
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
		logins[name] = demo.Login{Sub: key.Sub, JTI: key.JTI, Key: key.Key}
	}
	err := demo.Run(ctx, demo.Config{Broker: net.JoinHostPort(reach(at), port(at)), Logins: logins, Log: p.log})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
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
