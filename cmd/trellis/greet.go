package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
)

// greet prints where to go.
func (c *serveCommand) greet(ctx context.Context, out io.Writer, st *state, l listeners) error {
	base := baseURL(c.PublicURL, l.http.Addr())
	link, err := operatorLink(ctx, st.store, base)
	if err != nil {
		return err
	}
	if c.behind != nil {
		_, err = fmt.Fprintf(out, "Open    %s\n        Paste an access key of %s there. To sign in as operator of this server: %s\nDevices connect to that service itself.\n", base, c.behind.service, link)
		return err
	}
	if c.other != nil {
		return c.other.greet(out, link)
	}
	devices := "ws" + base[len("http"):] + "/ws"
	if l.mqtt != nil {
		devices = "mqtt://" + hostOf(base) + ":" + port(l.mqtt.Addr()) + " and " + devices
	}
	network := ""
	if here := onNetwork(l.http.Addr()); here != "" && c.PublicURL == "" {
		network = "        On another device of this network use " + here + " instead of " + hostOf(base) + ".\n"
	}
	_, err = fmt.Fprintf(out, "Open    %s\n        Signs you in once, within the hour; a new one: trellis link\n%sDevices %s\n", link, network, devices)
	return err
}

// onNetwork is this machine's address for others, if it listens for them.
func onNetwork(at net.Addr) string {
	if a, ok := at.(*net.TCPAddr); !ok || !a.IP.IsUnspecified() {
		return ""
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsPrivate() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return ""
}

// baseURL is the address to print: the public one, or this machine's.
func baseURL(public string, at net.Addr) string {
	if public != "" {
		u, _ := url.Parse(public) // was checked
		return u.Scheme + "://" + u.Host
	}
	host := "localhost"
	if a, ok := at.(*net.TCPAddr); ok && len(a.IP) > 0 && !a.IP.IsUnspecified() && !a.IP.IsLoopback() {
		host = a.IP.String()
	} else if ok && a.IP.IsLoopback() && a.IP.To4() != nil {
		host = a.IP.String()
	}
	return "http://" + net.JoinHostPort(host, port(at))
}

func hostOf(base string) string {
	u, _ := url.Parse(base) // made by baseURL
	return u.Hostname()
}

func port(at net.Addr) string {
	if a, ok := at.(*net.TCPAddr); ok {
		return strconv.Itoa(a.Port)
	}
	return ""
}
