package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"trellis/access"
)

// watchCommand has a server in front of another service listen for good with a key of that service.
type watchCommand struct {
	folder
	upstreamCA
	Name    string `arg:"" optional:"" help:"The key's id, or the entity's name when it has one key here. Nothing lists the keys."`
	Off     bool   `help:"Listen with this key only while somebody is here."`
	KeyFile string `name:"key-file" help:"A file that holds a key which nobody has pasted yet; - for the standard input. It is asked about at the service, sealed and watched." placeholder:"FILE"`
	JSON    bool   `name:"json" help:"Print a JSON array of the keys."`
}

// Run lists the keys, or turns watching on or off. A running server notices within a second.
func (c *watchCommand) Run(ctx context.Context, con console) error {
	switch {
	case c.Name != "" && c.KeyFile != "":
		return wrongUse("give a name or --key-file, not both")
	case c.Off && c.Name == "":
		return wrongUse("--off needs the name or the id of a key")
	case c.JSON && (c.Name != "" || c.KeyFile != ""):
		return wrongUse("--json is for the list of keys")
	}
	roots, err := readRoots("--upstream-ca", c.UpstreamCA)
	if err != nil {
		return err
	}
	origin, err := frontOf(c.Data)
	if err != nil {
		return err
	}
	return withState(ctx, c.Data, false, func(st *state) error {
		service, err := access.NewService(access.ServiceConfig{Origin: origin, Roots: roots})
		if err != nil {
			return err
		}
		defer service.Close()
		vault, err := access.OpenVault(sealingKeyFile(c.Data))
		if err != nil {
			return err
		}
		keys, err := access.OpenForeignKeys(ctx, heldRows{st.store}, service, vault, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		switch {
		case c.KeyFile != "":
			return c.take(ctx, con, keys)
		case c.Name != "":
			return c.turn(ctx, con, keys, c.Name)
		}
		return c.list(con, keys)
	})
}

// turn sets one key.
func (c *watchCommand) turn(ctx context.Context, con console, keys *access.ForeignKeys, name string) error {
	key, err := keys.Find(name)
	switch {
	case errors.Is(err, access.ErrKeyUnknown):
		return fmt.Errorf("no key called %q is held here: trellis watch lists those that are, --key-file takes another", name)
	case errors.Is(err, access.ErrSeveralKeys):
		return fmt.Errorf("%s has several keys here: name one by its id, trellis watch lists them", name)
	case err != nil:
		return err
	}
	if err := keys.SetWatched(ctx, key.ID, !c.Off); err != nil {
		return watchFailed(err)
	}
	words := "Watched from now on"
	if c.Off {
		words = "Not watched any more"
	}
	_, err = fmt.Fprintf(con.out, "%s: %s of %s\n", words, key.ID, key.Subject.Entity)
	return err
}

func watchFailed(err error) error {
	if errors.Is(err, access.ErrWatchedEnough) {
		return errors.New("as many keys are watched here as can be: turn one off first, with --off")
	}
	return err
}

// take watches a key that nobody has signed in with.
func (c *watchCommand) take(ctx context.Context, con console, keys *access.ForeignKeys) error {
	token, err := readKey(c.KeyFile)
	if err != nil {
		return err
	}
	g, err := keys.Verify(token)
	switch {
	case errors.Is(err, access.ErrKeyMissing):
		return errors.New("there is no key in what was given with --key-file")
	case errors.Is(err, access.ErrKeyUnknown):
		return errors.New("the service that this server stands in front of does not accept that key")
	case err != nil:
		return fmt.Errorf("ask the service about the key: %w", err)
	}
	return c.turn(ctx, con, keys, g.KeyID)
}

// maxKeyFile is more than any key is long.
const maxKeyFile = 64 << 10

// readKey reads a key out of a file: never out of the command line, which others can see.
func readKey(file string) (string, error) {
	in := os.Stdin
	if file != "-" {
		opened, err := openPrivate(file)
		if err != nil {
			return "", fmt.Errorf("--key-file: %w", err)
		}
		defer func() { _ = opened.Close() }()
		in = opened
	}
	text, err := io.ReadAll(io.LimitReader(in, maxKeyFile))
	if err != nil {
		return "", fmt.Errorf("--key-file: %w", err)
	}
	return strings.Join(strings.Fields(string(text)), ""), nil // a terminal that wrapped it may have put some white space in
}

// heldListed is one key as `watch --json` prints it.
type heldListed struct {
	Entity  string    `json:"entity"`
	Sub     string    `json:"sub"`
	JTI     string    `json:"jti"`
	Watched bool      `json:"watched"`
	Used    time.Time `json:"used"`
}

// list shows what is held, never the keys themselves.
func (c *watchCommand) list(con console, keys *access.ForeignKeys) error {
	all := keys.List()
	if c.JSON {
		rows := make([]heldListed, len(all))
		for i, k := range all {
			rows[i] = heldListed{k.Subject.Entity, k.Subject.String(), k.ID, k.Watched, k.Used.UTC()}
		}
		return json.NewEncoder(con.out).Encode(rows)
	}
	table := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ENTITY\tID\tWATCHED\tLAST SIGN-IN")
	for _, k := range all {
		watched := "no"
		if k.Watched {
			watched = "yes"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", k.Subject.Entity, k.ID, watched, k.Used.Local().Format(time.DateTime))
	}
	return table.Flush()
}

// sealingKeyFile seals the keys of another service.
func sealingKeyFile(dir string) string { return filepath.Join(dir, "sealing-key.json") }
