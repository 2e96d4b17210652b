package mqttproxy

import (
	"net/http"
	"net/url"
	"strings"
)

// sameOrigin says whether a browser's request comes from a page of this very server: same scheme, host and port, or
// exactly one of the public origins. A request without an Origin does not come from a page and is refused as well: a
// cookie alone proves nothing about who sent it along.
func sameOrigin(r *http.Request, public []string) bool {
	origins := r.Header.Values("Origin")
	if len(origins) != 1 {
		return false
	}
	origin, ok := plainOrigin(origins[0])
	if !ok {
		return false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if own, ok := plainOrigin(scheme + "://" + r.Host); ok && own == origin {
		return true
	}
	for _, address := range public {
		if own, ok := plainOrigin(strings.TrimSuffix(address, "/")); ok && own == origin {
			return true
		}
	}
	return false
}

// plainOrigin writes an origin in one way: lower case, without the port that its scheme implies. Anything that is not
// scheme://host or scheme://host:port is no origin.
func plainOrigin(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || strings.ContainsAny(s, "?#@\\ ") {
		return "", false
	}
	implied, known := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if !known || u.Hostname() == "" || u.User != nil || u.Path != "" || strings.HasSuffix(u.Host, ":") {
		return "", false
	}
	port := u.Port()
	if port == "" {
		port = implied
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + " " + port, true
}
