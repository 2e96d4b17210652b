package main

import (
	"context"
	"log/slog"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
	"trellis/server"
)

// newOutbox sends what programs leave here to whatever the hub stands on.
func newOutbox(store *history.Store, to mqttproxy.Source, keys server.Keys, log *slog.Logger) *mqttproxy.Outbox {
	return mqttproxy.NewOutbox(mqttproxy.OutboxConfig{
		Letters: letterRows{store}, Source: to, Log: log,
		Grant: func(keyID string) (access.Grant, error) { return keys.Grant(keyID) },
	})
}

// letterRows keeps letters in the one database.
type letterRows struct{ store *history.Store }

// Keys gives the keys of which something waits.
func (r letterRows) Keys(ctx context.Context) ([]string, error) { return r.store.LetterKeys(ctx) }

// Next gives a key's oldest letter.
func (r letterRows) Next(ctx context.Context, keyID string) (mqttproxy.Letter, time.Time, bool, error) {
	l, first, there, err := r.store.NextLetter(ctx, keyID)
	if err != nil || !there {
		return mqttproxy.Letter{}, first, false, err
	}
	return mqttproxy.Letter{ID: l.ID, KeyID: l.KeyID, Topic: l.Topic, Payload: l.Payload, Until: l.Until}, first, true, nil
}

// End notes what became of one.
func (r letterRows) End(ctx context.Context, id string, how mqttproxy.LetterEnd) error {
	state := history.LetterSent
	if how == mqttproxy.LetterRefused {
		state = history.LetterRefused
	}
	return r.store.EndLetter(ctx, id, state)
}

// Expire gives up those whose time is over.
func (r letterRows) Expire(ctx context.Context, keyID string) (int, error) {
	return r.store.ExpireLetters(ctx, keyID)
}

// Refuse gives up all of a key.
func (r letterRows) Refuse(ctx context.Context, keyID string) (int, error) {
	return r.store.RefuseLetters(ctx, keyID)
}
