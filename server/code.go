package server

import (
	_ "embed" // the programs
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"trellis/templates"
)

// Programs that read a value, to be copied. An end-to-end test runs each of them.
var (
	//go:embed code/curl.sh
	codeCurl string
	//go:embed code/python.py
	codePython string
	//go:embed code/javascript.mjs
	codeJavaScript string
	//go:embed code/arduino.ino
	codeArduino string
)

// code gives the programs for a value. What a device may choose, its name and the reading's, is in them only as it stands in an address, where
// no language sees more in it than letters, digits and % signs. The key is in none of them.
//
// They read what the page shows: one that goes on does so in them too.
func (s *Server) code(r *http.Request, a asked, from, to time.Time) []templates.Snippet {
	address := s.address(r)
	times := url.Values{"from": {from.UTC().Format(time.RFC3339)}}
	if !a.to.IsZero() {
		times.Set("to", to.UTC().Format(time.RFC3339))
	}
	query := url.Values{"entity": {a.entity}, "reading": {a.reading}}.Encode()
	parts := []string{"{{ADDRESS}}", address, "{{QUERY}}", query, "{{TIME}}", times.Encode(), "{{NEAR}}", nearWords(address)}
	if strings.HasPrefix(address, "https:") {
		parts = append(parts, "{{ROOT}}", ", and\n// ROOT_CA: the certificate of whoever vouches for this server, as text", "{{INCLUDE}}", "#include <WiFiClientSecure.h>\n",
			"{{CLIENT}}", "WiFiClientSecure", "{{TRUST}}", "  client.setCACert(ROOT_CA);\n")
	} else {
		parts = append(parts, "{{ROOT}}", "", "{{INCLUDE}}", "", "{{CLIENT}}", "WiFiClient", "{{TRUST}}", "")
	}
	fill := strings.NewReplacer(parts...)
	return []templates.Snippet{
		{ID: "code-curl", Name: "curl", Text: fill.Replace(codeCurl)},
		{ID: "code-python", Name: "Python", Text: fill.Replace(codePython)},
		{ID: "code-javascript", Name: "JavaScript", Text: fill.Replace(codeJavaScript)},
		{ID: "code-arduino", Name: "Arduino", Text: fill.Replace(codeArduino)},
	}
}

// nearHost is the host of an address that leads every machine to itself; empty where it is another.
func nearHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	host := u.Hostname()
	if at, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !at.IsLoopback()) {
		return ""
	}
	return host
}

// nearWords warns whoever has opened the page on the machine itself: a board that is told localhost asks itself.
func nearWords(address string) string {
	host := nearHost(address)
	if host == "" {
		return ""
	}
	return "// To the board, " + host + " is the board itself. Put in its place the address at which the board reaches this server, such as 192.168.1.20.\n"
}

// plainHost is a host as people write one, with a port or without.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`)

// address is where people and programs reach this server: what the operator says, else as this visitor came.
func (s *Server) address(r *http.Request) string {
	if s.PublicURL != nil {
		return s.PublicURL.Scheme + "://" + s.PublicURL.Host
	}
	host := r.Host
	if !plainHost.MatchString(host) {
		host = "localhost"
	}
	return "http://" + host
}
