package mqttproxy

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"trellis/access"
)

// The documented addresses of Tendrl's own broker, and the host of its claims.
const (
	tendrlHost = "app.tendrl.com"
	tendrlMQTT = "mqtts://mqtt.tendrl.com:443"
	tendrlWS   = "wss://mqtt-ws.tendrl.com/ws"
)

// UpstreamAddresses says where the broker behind a service is: what was given for MQTT over TCP and over WebSocket, best first.
// With nothing given it is Tendrl's documented addresses for Tendrl's host, and /ws of the service itself for any other.
func UpstreamAddresses(service *url.URL, mqtt, ws string) ([]*url.URL, error) {
	switch {
	case mqtt != "" || ws != "":
	case service.Hostname() == tendrlHost:
		mqtt, ws = tendrlMQTT, tendrlWS
	case service.Scheme == "http":
		ws = "ws://" + service.Host + service.Path + "/ws"
	default:
		ws = "wss://" + service.Host + service.Path + "/ws"
	}
	var all []*url.URL
	if mqtt != "" {
		u, err := ParseMQTTAddress(mqtt)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	if ws != "" {
		u, err := ParseSocketAddress(ws)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// ParseMQTTAddress reads where MQTT over TCP is: a bare host, or https://, which is how documentation prints it, both TLS
// on port 443; mqtts:// is TLS on 8883; mqtt:// is plain, and only for this machine itself.
func ParseMQTTAddress(s string) (*url.URL, error) {
	return parseBroker(s, map[string]broker{
		"https": {"mqtts", "443"}, "mqtts": {"mqtts", "8883"}, "ssl": {"mqtts", "8883"}, "tls": {"mqtts", "8883"},
		"mqtt": {"mqtt", "1883"}, "tcp": {"mqtt", "1883"},
	}, "")
}

// ParseSocketAddress reads where MQTT over WebSocket is: a bare host, https:// or wss://; ws:// and http:// are plain, and only for
// this machine itself. Without a path it is /ws.
func ParseSocketAddress(s string) (*url.URL, error) {
	return parseBroker(s, map[string]broker{
		"https": {"wss", ""}, "wss": {"wss", ""}, "http": {"ws", ""}, "ws": {"ws", ""},
	}, "/ws")
}

// ParseBrokerAddress reads where any broker is: mqtts://host:port or wss://host/path, or mqtt:// and ws:// for a connection that is not
// encrypted. That is for this machine itself, and where plain says that the network between is trusted.
func ParseBrokerAddress(s string, plain bool) (*url.URL, error) {
	scheme, _, has := strings.Cut(s, "://")
	if !has {
		return nil, errors.New("should begin with mqtts:// or wss://, or with mqtt:// or ws:// for a broker without encryption")
	}
	if u, err := url.Parse(s); err == nil && u.User != nil {
		return nil, errors.New("holds a login, which others on this machine could see: use --broker-user and --broker-password-file")
	}
	parse, path := parseBroker, ""
	schemes := map[string]broker{"mqtts": {"mqtts", "8883"}, "ssl": {"mqtts", "8883"}, "tls": {"mqtts", "8883"}, "mqtt": {"mqtt", "1883"}, "tcp": {"mqtt", "1883"}}
	if scheme = strings.ToLower(scheme); scheme == "ws" || scheme == "wss" {
		schemes, path = map[string]broker{"wss": {"wss", ""}, "ws": {"ws", ""}}, "/mqtt"
	}
	if plain {
		parse = parseAnyBroker
	}
	u, err := parse(s, schemes, path)
	switch {
	case errors.Is(err, errPlain):
		return nil, errors.New("is not encrypted: use mqtts:// or wss://, or say --broker-plain if you trust the network between")
	case err == nil && (u.Scheme == "mqtt" || u.Scheme == "ws") && public(u.Hostname()):
		return nil, errors.New("is not encrypted, and its address is one of the internet: use mqtts:// or wss://")
	}
	return u, err
}

// sharedSpace is what providers, and networks laid over others, use beside the private addresses.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// public says whether a host is an address of the internet. What is behind a name nobody knows yet.
func public(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !sharedSpace.Contains(a.Unmap())
}

// errPlain says that an address is that of a connection which others can listen to.
var errPlain = errors.New("is not encrypted, and keys are sent there: only this machine itself may be reached like that")

// broker is what a scheme means: ours for it, and its port where none is said.
type broker struct{ scheme, port string }

func parseBroker(s string, schemes map[string]broker, path string) (*url.URL, error) {
	u, err := parseAnyBroker(s, schemes, path)
	if err == nil && (u.Scheme == "mqtt" || u.Scheme == "ws") && !access.ThisMachine(u.Hostname()) {
		return nil, errPlain
	}
	return u, err
}

// parseAnyBroker is parseBroker for networks that are trusted.
func parseAnyBroker(s string, schemes map[string]broker, path string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("should be a host, perhaps with a scheme in front and a port behind")
	}
	if strings.Trim(strings.ToLower(u.Host), "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]") != "" {
		return nil, errors.New("is no host that a content policy could name")
	}
	means, known := schemes[strings.ToLower(u.Scheme)]
	if !known {
		return nil, errors.New("the scheme " + u.Scheme + ":// is none of those that lead here")
	}
	out := &url.URL{Scheme: means.scheme, Host: u.Host, Path: u.Path}
	if out.Port() == "" && means.port != "" {
		out.Host = net.JoinHostPort(u.Hostname(), means.port)
	}
	switch {
	case path == "" && strings.Trim(u.Path, "/") != "":
		return nil, errors.New("MQTT over TCP has no path")
	case path == "":
		out.Path = ""
	case strings.Trim(u.Path, "/") == "":
		out.Path = path
	}
	return out, nil
}
