package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"trellis/access"
)

// Notes in a folder, for commands beside its server: whose keys it takes, whose broker it shows, and where its pages are.
const (
	serviceNote = "upstream"
	brokerNote  = "broker"
	addressNote = "address"
)

// note writes down what is true of this run; nothing takes a note away.
func note(dir, name, text string) error {
	file := filepath.Join(dir, name)
	var err error
	if text == "" {
		if err = os.Remove(file); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	} else {
		err = os.WriteFile(file, []byte(text+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("note how this server is run: %w", err)
	}
	return nil
}

// noted reads a note; empty if there is none.
func noted(dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// notes writes down what stands behind this server, and the address of its pages.
func (c *serveCommand) notes(at net.Addr) error {
	service, broker := "", ""
	if c.behind != nil {
		service = c.behind.service.String()
	}
	if c.other != nil {
		broker = c.other.address.Host
	}
	return errors.Join(note(c.Data, serviceNote, service), note(c.Data, brokerNote, broker), note(c.Data, addressNote, baseURL(c.PublicURL, at)))
}

// frontOf reads what service the server of a folder stands in front of.
func frontOf(dir string) (*url.URL, error) {
	service := noted(dir, serviceNote)
	if service == "" {
		return nil, fmt.Errorf("there is nothing to watch in %s: that is for a server in front of another service (serve --upstream), and the one on this folder is none", dir)
	}
	origin, err := access.ParseService(service)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, serviceNote), err)
	}
	return origin, nil
}

// refuseForeign says where keys come from, if not from here.
func refuseForeign(dir string) error {
	if service := noted(dir, serviceNote); service != "" {
		return fmt.Errorf("the server on %s takes keys of %s: make them there, and paste them on its page", dir, service)
	}
	return nil
}
