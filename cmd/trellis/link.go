package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"time"

	"github.com/alecthomas/kong"

	"trellis/history"
	"trellis/server"
)

// defaultListen is where a server listens that was told nothing.
const defaultListen = ":8080"

// linkLife is how long a one-time link is good for.
const linkLife = time.Hour

type linkCommand struct {
	folder
	Listen    string `help:"As for serve, where the link is to point elsewhere than to the server that runs, or last ran, on the folder." placeholder:"ADDRESS"`
	PublicURL string `name:"public-url" help:"As for serve, in place of --listen." placeholder:"URL"`

	given bool // one of them, on this command line
}

// AfterApply tells what is said on the command line from what the environment or a file says: that the server was told too, and it noted
// what came of it.
func (c *linkCommand) AfterApply(given *kong.Context) error {
	for _, p := range given.Path {
		if p.Flag != nil && !p.Resolved && (p.Flag.Name == "listen" || p.Flag.Name == "public-url") {
			c.given = true
		}
	}
	return nil
}

// Run prints a link for a server that runs, or will run, on the same folder.
func (c *linkCommand) Run(ctx context.Context, con console) error {
	base, err := c.base()
	if err != nil {
		return err
	}
	return withState(ctx, c.Data, false, func(st *state) error {
		link, err := operatorLink(ctx, st.store, base)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(con.out, link)
		return err
	})
}

// base is the address of the pages: as it is given, else as the server noted it.
func (c *linkCommand) base() (string, error) {
	if _, err := (&serveCommand{PublicURL: c.PublicURL}).publicURL(); err != nil {
		return "", err
	}
	if base := noted(c.Data, addressNote); base != "" && !c.given {
		return base, nil
	}
	at, err := net.ResolveTCPAddr("tcp", cmp.Or(c.Listen, defaultListen))
	if err != nil {
		return "", wrongUse("--listen=%s: should be host:port or :port", c.Listen)
	}
	return baseURL(c.PublicURL, at), nil
}

// operatorLink makes a one-time code and puts it behind the # of the address, where no log and no proxy sees it.
func operatorLink(ctx context.Context, store *history.Store, base string) (string, error) {
	code := rand.Text() // 130 random bits
	if err := store.PutCode(ctx, server.CodeHash(code), time.Now().Add(linkLife)); err != nil {
		return "", fmt.Errorf("keep one-time code: %w", err)
	}
	return base + "/enter#" + code, nil
}
