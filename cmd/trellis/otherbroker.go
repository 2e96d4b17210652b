package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"trellis/access"
	"trellis/mqttproxy"
	"trellis/server"
)

// otherBrokerFlags are the flags for standing in front of any broker.
type otherBrokerFlags struct {
	Broker             string   `help:"Stand in front of any MQTT broker: mqtts://host:port or wss://host/path. There is no broker inside then." placeholder:"ADDRESS"`
	BrokerPlain        bool     `help:"Go there without encryption (mqtt:// or ws://), through a network that you trust."`
	BrokerUser         string   `help:"The user name to log in with there." placeholder:"NAME"`
	BrokerPasswordFile string   `help:"A file that holds the password, and that nobody else can read." type:"path" placeholder:"FILE"`
	BrokerCA           string   `name:"broker-ca" help:"A file of certificate authorities, in PEM, to believe beside this machine's own." type:"path" placeholder:"FILE"`
	BrokerClientID     string   `name:"broker-client-id" help:"The client id there; none other may use it. The default stays the same for this folder." placeholder:"ID"`
	BrokerTopics       []string `help:"What to listen to there, and which part of a topic names the device: home/{entity}/state, sensors/{entity...} for the rest, or + and #." placeholder:"LIST"`
	BrokerSend         string   `help:"Where to send what pages send to a device: home/{entity}/set. Without it nothing can be sent." placeholder:"TEMPLATE"`
}

// otherBroker is what the flags say, read.
type otherBroker struct {
	address *url.URL
	roots   *x509.CertPool
	user    string
	secret  func() (string, error) // nil: no password
	client  string                 // empty: one that follows from the folder
	topics  access.Templates
	texts   []string // the same as they were written
	send    *access.Template
}

// read refuses flags that lead nowhere. It gives nil where there is no such broker.
func (f otherBrokerFlags) read() (*otherBroker, error) {
	if f.Broker == "" {
		if f.BrokerPlain || f.BrokerUser+f.BrokerPasswordFile+f.BrokerCA+f.BrokerClientID+f.BrokerSend != "" || len(f.BrokerTopics) > 0 {
			return nil, wrongUse("--broker-plain, --broker-user and the others of --broker need --broker")
		}
		return nil, nil
	}
	b := &otherBroker{user: f.BrokerUser, client: f.BrokerClientID}
	var err error
	if b.address, err = mqttproxy.ParseBrokerAddress(f.Broker, f.BrokerPlain); err != nil {
		return nil, wrongUse("--broker: the address %w", err)
	}
	if b.roots, err = readRoots("--broker-ca", f.BrokerCA); err != nil {
		return nil, err
	}
	if err := f.readLogin(b); err != nil {
		return nil, err
	}
	return b, f.readTopics(b)
}

func (f otherBrokerFlags) readLogin(b *otherBroker) error {
	if len(f.BrokerClientID) > 128 || strings.ContainsFunc(f.BrokerClientID, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return wrongUse("--broker-client-id: should be at most 128 signs that can be printed")
	}
	if f.BrokerPasswordFile == "" {
		return nil
	}
	if f.BrokerUser == "" {
		return wrongUse("--broker-password-file needs --broker-user")
	}
	b.secret = func() (string, error) { return readPassword(f.BrokerPasswordFile) }
	if _, err := b.secret(); err != nil {
		return wrongUse("--broker-password-file: %w", err)
	}
	return nil
}

func (f otherBrokerFlags) readTopics(b *otherBroker) (err error) {
	if b.topics, err = access.ParseTemplates(f.BrokerTopics); err != nil {
		return wrongUse("--broker-topics: %w", err)
	}
	for _, t := range b.topics {
		b.texts = append(b.texts, t.String())
	}
	if f.BrokerSend == "" {
		return nil
	}
	send, err := access.ParseSendTemplate(f.BrokerSend)
	if err != nil {
		return wrongUse("--broker-send=%s: %w", f.BrokerSend, err)
	}
	b.send = &send
	return nil
}

// maxPassword is the longest that MQTT can write.
const maxPassword = 65535

// readPassword reads a password out of a file that nobody else can read; a line's end behind it is not a part of it.
func readPassword(file string) (string, error) {
	if info, err := os.Stat(file); err == nil && (!info.Mode().IsRegular() || info.Size() > maxPassword) {
		return "", fmt.Errorf("%s holds no password", file) // and nobody waits for what a pipe will say
	}
	opened, err := openPrivate(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = opened.Close() }()
	text, err := io.ReadAll(io.LimitReader(opened, maxPassword+2)) // with the end of its line
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if err == nil && password == "" {
		err = fmt.Errorf("%s is empty", file)
	}
	return password, err
}

// startOther builds every part that stands in front of any broker.
func (c *serveCommand) startOther(ctx context.Context, st *state, public *url.URL, log *slog.Logger) (*service, error) {
	h, err := c.openHouse(st, log)
	if err != nil {
		return nil, err
	}
	hub, err := c.openHub(ctx, st, h, st.keys, log)
	if err != nil {
		return nil, errors.Join(err, h.Close(ctx))
	}
	box := newOutbox(st.store, h, st.keys, log)
	st.keys.OnEnd(hub.EndKey)
	st.keys.OnEnd(box.Wake)
	h.links.Hold()
	front := &server.Front{Broker: c.other.address.Hostname(), Topics: c.other.texts, Link: h.StateOf, Links: h.links.Stats}
	if c.other.send != nil {
		front.Send = c.other.send.String()
	}
	s := &service{front: h, outbox: box, hub: hub, state: st, log: log, token: c.token, keeping: h.kept, healthy: h.kept.healthy(h.healthy)}
	s.web = server.New(server.Config{
		Keys: st.keys, Store: st.store, Past: st.store, Moments: st.store, Pages: hub, Healthy: s.healthy, Recording: h.Recording, Probe: h.reach, JWKS: st.signer.JWKS(),
		Front: front, Operator: h.operatorGrant, Outbox: box,
		Account: c.Account, Region: c.Region, PublicURL: public, Proxies: c.TrustedProxy, Log: log,
		Limits: c.limits(), Ways: c.Ways, Counted: s.counted(),
	})
	return s, nil
}

// openHouse makes the link to the broker; nothing connects yet.
func (c *serveCommand) openHouse(st *state, log *slog.Logger) (*house, error) {
	b := c.other
	client := b.client
	if client == "" {
		vault, err := access.OpenVault(filepath.Join(c.Data, "sealing-key.json"))
		if err != nil {
			return nil, err
		}
		client = "trellis-" + vault.Name()
	}
	h := &house{topics: b.topics, send: b.send, owner: access.Subject{Account: c.Account, Region: c.Region}, keys: st.keys}
	h.store, h.log, h.kept = st.store, log, newKeeping(c.Data, st.store, log)
	links, err := mqttproxy.NewUplinks(mqttproxy.UplinksConfig{
		Addresses: []*url.URL{b.address}, TLS: &tls.Config{RootCAs: b.roots, MinVersion: tls.VersionTLS12}, Log: log,
		House: &mqttproxy.House{ClientID: client, User: b.user, Secret: b.secret, Filters: b.topics.Filters()},
		Take:  h.taking(h.understand, h.sift),
		Lost:  h.kept.tally.note,
	})
	h.links = links
	return h, err
}

// greetOther prints where to go.
func (b *otherBroker) greet(out io.Writer, link string) error {
	_, err := fmt.Fprintf(out, "Open    %s\n        Signs you in once, within the hour; a new one: trellis link\nDevices connect to %s; this server shows what it brings.\n", link, b.address.Host)
	return err
}
