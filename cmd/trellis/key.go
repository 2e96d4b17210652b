package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"trellis/access"
	"trellis/history"
)

// keyCommands work on the same folder as a running server, which notices within a second.
type keyCommands struct {
	Add    keyAddCommand    `cmd:"" help:"Make a key for a device or program. It is shown once and kept nowhere."`
	List   keyListCommand   `cmd:"" help:"List the keys, never the secrets."`
	Renew  keyRenewCommand  `cmd:"" help:"Put a new key in place of one that was lost or seen. Its id and topics stay."`
	Revoke keyRevokeCommand `cmd:"" help:"Withdraw a key; whoever uses it is cut off within a second."`
}

type keyAddCommand struct {
	folder
	account
	Name    string        `arg:"" help:"The entity the key is for: letters, digits, - _ and :"`
	JSON    bool          `name:"json" help:"Print one JSON object: entity, sub, jti, key."`
	Expires time.Duration `help:"End the key after this time, such as 720h." placeholder:"TIME"`
}

// Run makes the key and shows it.
func (c *keyAddCommand) Run(ctx context.Context, con console) error {
	sub, err := subject(c.account, c.Name)
	if err != nil {
		return err
	}
	until, err := expiry(c.Expires, time.Now())
	if err != nil {
		return err
	}
	if err := refuseForeign(c.Data); err != nil {
		return err
	}
	_, lacking := os.Stat(c.Data)
	return withState(ctx, c.Data, true, func(st *state) error {
		if errors.Is(lacking, fs.ErrNotExist) {
			_, _ = fmt.Fprintf(con.errs, "Note: the folder %s is new. The key is known to a server that runs on this folder, and to no other; --data names another folder.\n", c.Data)
		}
		broker := noted(c.Data, brokerNote)
		if other := st.keys.Addressees(sub.Account, sub.String()); len(other) > 0 && broker == "" {
			_, _ = fmt.Fprintf(con.errs, "Note: %s has a key already. Who logs in with either as %s throws the other out; put # and a name of its own behind the client id, or use: trellis key renew\n", sub.Entity, sub)
		}
		key, err := st.keys.Add(ctx, sub, until)
		if err != nil {
			return err
		}
		return show(con, key, broker, c.JSON)
	})
}

// show prints a key, which is the only time that anybody sees it.
func show(con console, key access.NewKey, broker string, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(con.out).Encode(key)
	}
	if broker != "" {
		_, err := fmt.Fprintf(con.out, "# Access key for the page of %s, shown only this once. It is no login for %s:\n\nKEY='%s'\n", key.Entity, broker, key.Key)
		return err
	}
	_, err := fmt.Fprintf(con.out, "# Access key for %s, shown only this once. MQTT client id, user name and password:\n\nSUB='%s'\nJTI='%s'\nKEY='%s'\n", key.Entity, key.Sub, key.JTI, key.Key)
	return err
}

type keyRenewCommand struct {
	folder
	Name string `arg:"" help:"The key's id, or the entity's name when it has one key."`
	JSON bool   `name:"json" help:"Print one JSON object: entity, sub, jti, key."`
}

// Run renews the key and shows the new one; whoever uses the old one is cut off within a second.
func (c *keyRenewCommand) Run(ctx context.Context, con console) error {
	return withState(ctx, c.Data, false, func(st *state) error {
		key, err := st.keys.Renew(ctx, c.Name)
		if err != nil {
			return err
		}
		return show(con, key, noted(c.Data, brokerNote), c.JSON)
	})
}

type keyListCommand struct {
	folder
	JSON bool `name:"json" help:"Print a JSON array."`
}

// listed is one key as `key list --json` prints it.
type listed struct {
	Entity  string     `json:"entity"`
	Sub     string     `json:"sub"`
	JTI     string     `json:"jti"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
	Revoked *time.Time `json:"revoked,omitempty"`
}

// Run lists every key ever made here.
func (c *keyListCommand) Run(ctx context.Context, con console) error {
	return withState(ctx, c.Data, false, func(st *state) error {
		keys, err := st.keys.List(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			rows := make([]listed, len(keys))
			for i, k := range keys {
				rows[i] = listed{k.Subject.Entity, k.Subject.String(), k.ID, k.Created.UTC(), orNil(k.Expires), orNil(k.Revoked)}
			}
			return json.NewEncoder(con.out).Encode(rows)
		}
		table := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "ENTITY\tID\tMADE\tSTATE")
		for _, k := range keys {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", k.Subject.Entity, k.ID, k.Created.Local().Format(time.DateTime), keyState(k, time.Now()))
		}
		return table.Flush()
	})
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func keyState(k access.KeyInfo, now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "withdrawn " + k.Revoked.Local().Format(time.DateTime)
	case k.Expires.IsZero():
		return "good"
	case !now.Before(k.Expires):
		return "ended " + k.Expires.Local().Format(time.DateTime)
	}
	return "good until " + k.Expires.Local().Format(time.DateTime)
}

type keyRevokeCommand struct {
	folder
	Name string `arg:"" help:"The key's id, or the entity's name when it has one key."`
}

// Run withdraws the key for good.
func (c *keyRevokeCommand) Run(ctx context.Context, con console) error {
	return withState(ctx, c.Data, false, func(st *state) error {
		ended, err := st.keys.Revoke(ctx, c.Name)
		if err != nil {
			return err
		}
		for _, k := range ended {
			if _, err := fmt.Fprintf(con.out, "Withdrawn: %s of %s\n", k.ID, k.Subject.Entity); err != nil {
				return err
			}
		}
		return nil
	})
}

// subject names an entity of this account, or says which part of the name cannot be.
func subject(a account, entity string) (access.Subject, error) {
	switch {
	case !access.PlainName(a.Account):
		return access.Subject{}, wrongUse("--account=%q: only letters, digits, - and _, at most 64", a.Account)
	case !access.PlainName(a.Region):
		return access.Subject{}, wrongUse("--region=%q: only letters, digits, - and _, at most 64", a.Region)
	case !access.EntityName(entity):
		return access.Subject{}, wrongUse("%q cannot name an entity: only letters, digits, - _ and :, at most 64, and not %q", entity, access.OperatorName)
	}
	return access.Subject{Account: a.Account, Region: a.Region, Entity: entity}, nil
}

// withState opens the folder beside whatever server may be running on it. A folder that holds nothing is a slip of the
// pen, unless the first key is to be made in it.
func withState(ctx context.Context, dir string, make bool, do func(*state) error) (err error) {
	if _, err := os.Stat(signingKeyFile(dir)); errors.Is(err, os.ErrNotExist) && !make {
		return fmt.Errorf("there is no trellis in %s: name its folder with --data", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot keep data in %s: %w", dir, err)
	}
	st, err := openState(ctx, dir, history.Config{}, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	return do(st)
}

// signingKeyFile holds the private half of the key that signs access keys.
func signingKeyFile(dir string) string { return filepath.Join(dir, "signing-key.json") }
