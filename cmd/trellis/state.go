package main

import (
	"context"
	"errors"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/mqttproxy"
	"trellis/server"
)

// state is what is kept in the folder, opened: by the server, or by a command beside it.
type state struct {
	store  *history.Store
	signer *access.Signer
	keys   *access.Keys
}

// topics are those of a key here; nil means its own two.
func openState(ctx context.Context, dir string, c history.Config, topics access.Topics) (*state, error) {
	store, err := history.Open(ctx, dir, c)
	if err != nil {
		return nil, err
	}
	st := &state{store: store}
	if st.signer, err = access.OpenSigner(signingKeyFile(dir)); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if st.keys, err = access.OpenKeysFor(ctx, keyRows{store}, st.signer, topics, c.Log); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return st, nil
}

// stillGood says whether what a page was let in by still lets it in.
func stillGood(keys server.Keys) func(access.Grant) bool {
	return func(g access.Grant) bool {
		if g.KeyID == "" {
			return true
		}
		now, err := keys.Grant(g.KeyID)
		return err == nil && now.Print == g.Print
	}
}

func (st *state) close() error { return st.store.Close() }

// keyRows keeps keys in the one database, which knows them only as rows.
type keyRows struct{ *history.Store }

// Keys gives all keys.
func (r keyRows) Keys(ctx context.Context) ([]access.KeyInfo, error) {
	rows, err := r.Store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	infos := make([]access.KeyInfo, len(rows))
	for i, k := range rows {
		sub, _ := access.ParseSubject(k.Subject) // a row that names nobody is said and left out by access
		infos[i] = access.KeyInfo{Subject: sub, ID: k.ID, Created: k.Created, Expires: k.Expires, Revoked: k.Revoked, Ended: k.Ended, Hash: k.Hash}
	}
	return infos, nil
}

// AddKey keeps a new key.
func (r keyRows) AddKey(ctx context.Context, k access.KeyInfo) error {
	return r.Store.AddKey(ctx, history.Key{Subject: k.Subject.String(), ID: k.ID, Created: k.Created, Expires: k.Expires, Revoked: k.Revoked, Hash: k.Hash})
}

// remembered turns the last values on disk into what the hub keeps for those who join.
func remembered(latest []history.Record) []mqttproxy.Message {
	out := make([]mqttproxy.Message, len(latest))
	for i, r := range latest {
		out[i] = mqttproxy.Message{Topic: r.Topic, Payload: r.Payload, Parts: parts(r.About, namesOf(r.Readings))}
	}
	return out
}

func namesOf(names []string) []message.Reading {
	readings := make([]message.Reading, len(names))
	for i, n := range names {
		readings[i].Name = n
	}
	return readings
}
