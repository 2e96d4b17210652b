package main

import (
	"errors"
	"fmt"
	"net"
)

// listeners are the open ports. They are opened first, since a port in use is the commonest reason not to start.
type listeners struct{ http, mqtt, metrics net.Listener }

func (c *serveCommand) openPorts() (l listeners, err error) {
	if l.http, err = listen("--listen", c.Listen); err != nil {
		return l, err
	}
	if c.MQTT != "" {
		l.mqtt, err = listen("--mqtt", c.MQTT)
	}
	if err == nil {
		l.metrics, err = c.metrics.open()
	}
	if err != nil {
		l.close()
	}
	return l, err
}

func listen(flag, address string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, wrongUse("%s=%s: should be host:port or :port", flag, address)
	}
	l, err := net.Listen("tcp", address)
	var name *net.DNSError
	var wrong *net.AddrError
	if errors.As(err, &name) || errors.As(err, &wrong) {
		return nil, wrongUse("%s=%s: %v", flag, address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (%s): %w", address, flag, errors.Unwrap(err))
	}
	return l, nil
}

func (l listeners) close() {
	for _, one := range []net.Listener{l.http, l.mqtt, l.metrics} {
		if one != nil {
			_ = one.Close()
		}
	}
}
