package mqttproxy

import (
	"crypto/tls"
	"net/http"
	"testing"
)

func TestOrigin(t *testing.T) {
	const plain, secure, none = "plain", "secure", "(none)"
	const behindProxy = "127.0.0.1:8080" // a site whose public address is https://trellis.example
	for name, tt := range map[string]struct {
		origin, host string
		over         string
		want         bool
	}{
		"same host and port":          {"http://trellis.local:8080", "trellis.local:8080", plain, true},
		"same, upper case":            {"HTTP://Trellis.LOCAL:8080", "trellis.local:8080", plain, true},
		"same, host in upper case":    {"http://trellis.local:8080", "TRELLIS.local:8080", plain, true},
		"port 80 said on one side":    {"http://trellis.local", "trellis.local:80", plain, true},
		"port 443 said on one side":   {"https://trellis.local:443", "trellis.local", secure, true},
		"same over TLS":               {"https://trellis.local", "trellis.local", secure, true},
		"IPv4":                        {"http://192.0.2.7:8080", "192.0.2.7:8080", plain, true},
		"IPv6":                        {"http://[::1]:8080", "[::1]:8080", plain, true},
		"the public address":          {"https://trellis.example", behindProxy, plain, true},
		"no origin":                   {none, "trellis.local", plain, false},
		"empty":                       {"", "trellis.local", plain, false},
		"null":                        {"null", "trellis.local", plain, false},
		"another host":                {"http://evil.example", "trellis.local", plain, false},
		"ours as a suffix":            {"http://eviltrellis.local", "trellis.local", plain, false},
		"ours as a prefix":            {"http://trellis.local.evil.example", "trellis.local", plain, false},
		"ours as a subdomain's name":  {"http://a.trellis.local", "trellis.local", plain, false},
		"ours as user":                {"http://trellis.local@evil.example", "trellis.local", plain, false},
		"a user before ours":          {"http://evil.example@trellis.local", "trellis.local", plain, false},
		"another port":                {"http://trellis.local:9", "trellis.local:8080", plain, false},
		"no port":                     {"http://trellis.local", "trellis.local:8080", plain, false},
		"https page, plain socket":    {"https://trellis.local", "trellis.local", plain, false},
		"http page, secure socket":    {"http://trellis.local", "trellis.local", secure, false},
		"public address over http":    {"http://trellis.example", behindProxy, plain, false},
		"public with another port":    {"https://trellis.example:444", behindProxy, plain, false},
		"own address, past the proxy": {"http://127.0.0.1:8080", behindProxy, plain, false},
		"another IPv6":                {"http://[::2]:8080", "[::1]:8080", plain, false},
		"file":                        {"file://", "trellis.local", plain, false},
		"file with our name":          {"file://trellis.local", "trellis.local", plain, false},
		"extension":                   {"chrome-extension://trellis.local", "trellis.local", plain, false},
		"ws":                          {"ws://trellis.local", "trellis.local", plain, false},
		"a path":                      {"http://trellis.local/", "trellis.local", plain, false},
		"a query":                     {"http://trellis.local?x", "trellis.local", plain, false},
		"a fragment":                  {"http://trellis.local#x", "trellis.local", plain, false},
		"a dot at the end":            {"http://trellis.local.", "trellis.local", plain, false},
		"two in one":                  {"http://trellis.local http://evil.example", "trellis.local", plain, false},
		"backslash":                   {"http://trellis.local\\.evil.example", "trellis.local", plain, false},
		"empty port":                  {"http://trellis.local:", "trellis.local", plain, false},
		"no scheme":                   {"trellis.local", "trellis.local", plain, false},
		"zero in the host":            {"http://trellis.local%00", "trellis.local", plain, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{Header: http.Header{}, Host: tt.host}
			if tt.origin != none {
				r.Header.Set("Origin", tt.origin)
			}
			if tt.over == secure {
				r.TLS = &tls.ConnectionState{}
			}
			var public []string
			if tt.host == behindProxy {
				public = []string{"https://trellis.example/"}
			}
			if got := SameOrigin(r, public); got != tt.want {
				t.Errorf("Origin %q at host %q: %v, want %v", tt.origin, tt.host, got, tt.want)
			}
		})
	}
}

func TestTwoOriginsAreNone(t *testing.T) {
	r := &http.Request{Header: http.Header{"Origin": {"http://a", "http://a"}}, Host: "a"}
	if SameOrigin(r, nil) {
		t.Error("accepted")
	}
}
