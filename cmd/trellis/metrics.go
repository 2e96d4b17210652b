package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"trellis/access"
	"trellis/server"
)

// metrics are the flags about numbers for whoever watches over the server.
type metrics struct {
	Metrics          string `help:"Tell numbers for Prometheus at /metrics of this address, such as 127.0.0.1:9464. Other than this machine's own addresses need a token." placeholder:"ADDRESS"`
	MetricsTokenFile string `name:"metrics-token-file" help:"A file with the token that has to be sent for them, as 'Authorization: Bearer'." type:"path" placeholder:"FILE"`
	token            string // what is in the file, once it was read
}

// Bounds of a token: shorter could be guessed, and longer is another file.
const (
	shortestToken = 16
	longestToken  = 1024
)

// check reads the token, and refuses to tell numbers to everybody.
func (m *metrics) check() (err error) {
	if m.Metrics == "" {
		if m.MetricsTokenFile != "" {
			return wrongUse("--metrics-token-file needs --metrics")
		}
		return nil
	}
	host, _, err := net.SplitHostPort(m.Metrics)
	if err != nil {
		return wrongUse("--metrics=%s: should be host:port", m.Metrics)
	}
	if m.MetricsTokenFile == "" {
		if !access.ThisMachine(host) {
			return wrongUse("--metrics=%s: others can reach that, so it needs --metrics-token-file; without one only 127.0.0.1, [::1] and localhost will do", m.Metrics)
		}
		return nil
	}
	m.token, err = readToken(m.MetricsTokenFile)
	return err
}

func readToken(file string) (string, error) {
	f, err := openPrivate(file)
	if err != nil {
		return "", wrongUse("--metrics-token-file: %v", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, longestToken+1))
	if err != nil {
		return "", wrongUse("--metrics-token-file: %v", err)
	}
	token := strings.TrimSpace(string(text))
	if len(text) > longestToken || len(token) < shortestToken || strings.ContainsAny(token, " \t\r\n") {
		return "", wrongUse("--metrics-token-file=%s: should hold one word of %d letters or more, such as of: openssl rand -hex 32", file, shortestToken)
	}
	return token, nil
}

// open opens the port, if there is to be one. That localhost means this machine is a matter of its settings, so what was opened is
// looked at, too.
func (m *metrics) open() (net.Listener, error) {
	if m.Metrics == "" {
		return nil, nil
	}
	l, err := listen("--metrics", m.Metrics)
	if err != nil {
		return nil, err
	}
	if at, is := l.Addr().(*net.TCPAddr); m.token == "" && (!is || !at.IP.IsLoopback()) {
		return nil, errors.Join(wrongUse("--metrics=%s: is not this machine's alone, and there is no --metrics-token-file", m.Metrics), l.Close())
	}
	return l, nil
}

// counted is where the numbers come from.
func (s *service) counted() server.Counted {
	c := server.Counted{Version: version, Hub: s.hub.Stats, Record: s.state.store.Stats, Outbox: s.outbox.Stats}
	if s.front != nil {
		c.Panics = func() uint64 {
			_, panics := s.front.losses()
			return panics + s.outbox.Stats().Panics
		}
		return c
	}
	c.Panics = func() uint64 { return s.broker.Stats().Panics + s.outbox.Stats().Panics }
	c.Devices = func() server.DeviceStats {
		b := s.broker.Stats()
		return server.DeviceStats{
			Connections: b.Connections, Accepted: b.Accepted, Refused: b.Refused,
			DroppedQoS0: b.DroppedQoS0, Undeliverable: b.Undeliverable, Unclaimed: b.Unclaimed,
		}
	}
	return c
}

// serveMetrics answers until the server closes.
func (s *service) serveMetrics(l net.Listener, token string) error {
	s.log.Info("numbers are told", "at", fmt.Sprintf("http://%s/metrics", l.Addr()), "token", token != "")
	return s.web.ServeMetrics(l, token)
}
