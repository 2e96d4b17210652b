package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"time"

	"trellis/history"
	"trellis/server"
)

// linkLife is how long a one-time link is good for.
const linkLife = time.Hour

type linkCommand struct {
	folder
	Listen    string `help:"As for serve: it is where the link points." default:":8080"`
	PublicURL string `name:"public-url" help:"As for serve." placeholder:"URL"`
}

// Run prints a link for a server that runs, or will run, on the same folder.
func (c *linkCommand) Run(ctx context.Context, con console) error {
	public, err := (&serveCommand{PublicURL: c.PublicURL}).publicURL()
	if err != nil {
		return err
	}
	at, err := net.ResolveTCPAddr("tcp", c.Listen)
	if err != nil {
		return wrongUse("--listen=%s: should be host:port or :port", c.Listen)
	}
	base := baseURL("", at)
	if public != nil {
		base = baseURL(c.PublicURL, at)
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

// operatorLink makes a one-time code and puts it behind the # of the address, where no log and no proxy sees it.
func operatorLink(ctx context.Context, store *history.Store, base string) (string, error) {
	code := rand.Text() // 130 random bits
	if err := store.PutCode(ctx, server.CodeHash(code), time.Now().Add(linkLife)); err != nil {
		return "", fmt.Errorf("keep one-time code: %w", err)
	}
	return base + "/enter#" + code, nil
}
