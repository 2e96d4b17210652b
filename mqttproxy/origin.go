package mqttproxy

import (
	"net/http"
	"net/url"
	"strings"
)

// SameOrigin says whether a browser's request comes from a page of this very server: same scheme, host and port, or
// exactly one of the public origins. Where a public one is https only those count: a proxy has taken the https off, and
// what comes by plain http is not from our pages. A request without an Origin does not come from a page and is refused
// as well: a cookie alone proves nothing about who sent it along.
func SameOrigin(r *http.Request, public []string) bool {
	origins := r.Header.Values("Origin")
	if len(origins) != 1 {
		return false
	}
	origin, ok := plainOrigin(origins[0])
	if !ok {
		return false
	}
	onlyPublic := false
	for _, address := range public {
		if own, ok := plainOrigin(strings.TrimSuffix(address, "/")); ok && own == origin {
			return true
		}
		onlyPublic = onlyPublic || strings.HasPrefix(address, "https:")
	}
	if onlyPublic {
		return false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	own, ok := plainOrigin(scheme + "://" + r.Host)
	return ok && own == origin
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
