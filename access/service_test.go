package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const shedClaims = `{"sub":"acme:eu:shed:north","jti":"k1","plan":"free"}`

// asked runs a service that answers like this and counts how often it was asked.
func asked(t *testing.T, answer http.HandlerFunc) (*Service, *atomic.Int32) {
	t.Helper()
	var times atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		times.Add(1)
		answer(w, r)
	}))
	t.Cleanup(web.Close)
	return serviceAt(t, web.URL, ServiceConfig{}), &times
}

func serviceAt(t *testing.T, address string, c ServiceConfig) *Service {
	t.Helper()
	var err error
	if c.Origin, err = ParseService(address); err != nil {
		t.Fatal(err)
	}
	s, err := NewService(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestServiceIsAskedAsDocumented(t *testing.T) {
	s, times := asked(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/claims" || r.Header.Get("Authorization") != "Bearer secret" || r.URL.RawQuery != "" {
			t.Errorf("asked %s %s", r.Method, r.URL)
		}
		_, _ = io.WriteString(w, shedClaims)
	})
	for range 3 {
		c, err := s.Claims(t.Context(), "secret")
		if err != nil || c.Subject.Entity != "shed:north" || c.KeyID != "k1" {
			t.Errorf("claims %+v, %v", c, err)
		}
	}
	if n := times.Load(); n != 1 {
		t.Errorf("it was asked %d times within a minute, want once", n)
	}
	if _, err := s.Again(t.Context(), "secret"); err != nil || times.Load() != 2 {
		t.Errorf("asked again: %d times, %v", times.Load(), err)
	}
}

func TestServiceAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"https://app.tendrl.com":       "https://app.tendrl.com/api/claims",
		"https://app.tendrl.com/":      "https://app.tendrl.com/api/claims",
		"https://app.tendrl.com/api":   "https://app.tendrl.com/api/claims",
		" https://app.tendrl.com/api/": "https://app.tendrl.com/api/claims",
		"http://127.0.0.1:8080":        "http://127.0.0.1:8080/api/claims",
		"http://[::1]:8080":            "http://[::1]:8080/api/claims",
		"http://localhost:8080/api":    "http://localhost:8080/api/claims",
		"https://iot.example/of/acme":  "https://iot.example/of/acme/api/claims",
	} {
		if got := serviceAt(t, address, ServiceConfig{}).claims; got != want {
			t.Errorf("%q is asked at %s, want %s", address, got, want)
		}
	}
	for _, address := range []string{"", "app.tendrl.com", "http://app.tendrl.com", "https://", "ftp://x", "https://me:pass@x", "https://x?key=1", "https://x#y", "http://127.0.0.1.evil.example"} {
		if u, err := ParseService(address); err == nil {
			t.Errorf("%q was taken as %s", address, u)
		}
	}
}

func TestServiceRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   error
		times  int32
	}{
		"the key is not known": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"Unauthorized","message":"no"}`, http.StatusUnauthorized)
		}, ErrKeyUnknown, 1},
		"the key may not":                     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, ErrKeyUnknown, 1},
		"too many questions":                  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, ErrServiceLimited, 1},
		"a fault":                             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, ErrServiceAway, 1},
		"a proxy without its service":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, ErrServiceAway, askTries},
		"a service that starts":               {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, ErrServiceAway, askTries},
		"a proxy that waited in vain":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(504) }, ErrServiceAway, askTries},
		"nothing at this address":             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, ErrClaims, 1},
		"another shape":                       {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, ErrClaims, 1},
		"an answer that does not end":         {endless, ErrClaims, 1},
		"a connection that is cut":            {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ErrServiceAway, askTries},
		"a body that is shorter than its own": {shortened, ErrServiceAway, askTries},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, times := asked(t, tt.answer)
			_, err := s.Claims(t.Context(), "secret")
			if !errors.Is(err, tt.want) || times.Load() != tt.times {
				t.Errorf("%v after %d questions, want %v after %d", err, times.Load(), tt.want, tt.times)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds the key: %v", err)
			}
		})
	}
}

func endless(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := w.Write(make([]byte, 32<<10)); err != nil {
			return
		}
	}
}

func shortened(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, shedClaims)
}

func TestServiceComesBackWithinOneQuestion(t *testing.T) {
	var n atomic.Int32
	s, _ := asked(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(503)
			return
		}
		_, _ = io.WriteString(w, shedClaims)
	})
	if c, err := s.Claims(t.Context(), "secret"); err != nil || c.KeyID != "k1" {
		t.Errorf("claims %+v, %v", c, err)
	}
}

func TestServiceThatDoesNotAnswerIsGivenUp(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(web.Close)
	began := time.Now()
	_, err := serviceAt(t, web.URL, ServiceConfig{Within: 100 * time.Millisecond}).Claims(t.Context(), "secret")
	if !errors.Is(err, ErrServiceAway) || time.Since(began) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	if _, err := serviceAt(t, closed.URL, ServiceConfig{}).Claims(t.Context(), "secret"); !errors.Is(err, ErrServiceAway) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestServiceSaysWhenToComeAgain(t *testing.T) {
	for header, want := range map[string]time.Duration{"30": 30 * time.Second, "": 0, "Wed, 21 Oct 2026 07:28:00 GMT": 0, "-1": 0, "99999999999": 24 * time.Hour, "9999999": 24 * time.Hour} {
		s, _ := asked(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(429)
		})
		_, err := s.Claims(t.Context(), "secret")
		var limited LimitedError
		if !errors.As(err, &limited) || limited.After != want {
			t.Errorf("Retry-After %q: %v, after %v", header, err, limited.After)
		}
	}
}

func TestServiceForgetsWhatItRefuses(t *testing.T) {
	var refuse atomic.Bool
	s, times := asked(t, func(w http.ResponseWriter, _ *http.Request) {
		if refuse.Load() {
			w.WriteHeader(401)
			return
		}
		_, _ = io.WriteString(w, shedClaims)
	})
	_, first := s.Claims(t.Context(), "secret")
	refuse.Store(true)
	_, again := s.Again(t.Context(), "secret")
	_, after := s.Claims(t.Context(), "secret")
	if first != nil || !errors.Is(again, ErrKeyUnknown) || !errors.Is(after, ErrKeyUnknown) || times.Load() != 3 {
		t.Errorf("%v, %v, %v after %d questions", first, again, after, times.Load())
	}
	refuse.Store(false)
	if _, err := s.Claims(t.Context(), "secret"); err != nil {
		t.Errorf("a refusal was remembered: %v", err)
	}
}

func TestServiceAnswersAgeAndAreBounded(t *testing.T) {
	now := time.Now()
	s, times := asked(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, shedClaims) })
	s.now = func() time.Time { return now }
	for range 2 {
		if _, err := s.Claims(t.Context(), "secret"); err != nil {
			t.Fatal(err)
		}
		now = now.Add(answerLife)
	}
	if times.Load() != 2 {
		t.Errorf("asked %d times, want again after a minute", times.Load())
	}
	for n := range 2 * maxAnswered {
		s.keep([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}, Claims{})
	}
	if len(s.known) > maxAnswered {
		t.Errorf("%d answers are remembered", len(s.known))
	}
}

func TestServiceIsNotAskedWhatCannotBeAKey(t *testing.T) {
	s, times := asked(t, func(http.ResponseWriter, *http.Request) {})
	for key, want := range map[string]error{"": ErrKeyMissing, "two words": ErrKeyUnknown, "a\r\nX-Evil: 1": ErrKeyUnknown, "schlüssel": ErrKeyUnknown, strings.Repeat("x", maxToken+1): ErrKeyUnknown} {
		if _, err := s.Claims(t.Context(), key); !errors.Is(err, want) {
			t.Errorf("%.20q: %v", key, err)
		}
	}
	if times.Load() != 0 {
		t.Errorf("it was asked %d times", times.Load())
	}
}

func TestServiceIsNotFollowedElsewhere(t *testing.T) {
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		leaked.Store(true)
		_, _ = io.WriteString(w, shedClaims)
	}))
	t.Cleanup(other.Close)
	s, _ := asked(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/api/claims", http.StatusFound)
	})
	if _, err := s.Claims(t.Context(), "secret"); !errors.Is(err, ErrClaims) || leaked.Load() {
		t.Errorf("%v; the other origin was asked: %v", err, leaked.Load())
	}
	within, _ := asked(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/claims" {
			http.Redirect(w, r, "/api/v2/claims", http.StatusTemporaryRedirect)
			return
		}
		_, _ = fmt.Fprint(w, shedClaims)
	})
	if c, err := within.Claims(t.Context(), "secret"); err != nil || c.KeyID != "k1" {
		t.Errorf("within the same origin: %+v, %v", c, err)
	}
	around, times := asked(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/api/claims", http.StatusFound) })
	if _, err := around.Claims(t.Context(), "secret"); !errors.Is(err, ErrClaims) || times.Load() > maxSameHost+1 {
		t.Errorf("round and round: %v after %d", err, times.Load())
	}
}

// authority is a certificate authority of a test's own.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	plan := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// serve answers with claims under a certificate of this authority that ends then.
func (a *authority) serve(t *testing.T, until time.Time, names ...net.IP) string {
	t.Helper()
	plan := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, IPAddresses: names,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, plan, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, shedClaims) }))
	web.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	return web.URL
}

func TestServiceCertificates(t *testing.T) {
	own, here := newAuthority(t), net.IPv4(127, 0, 0, 1)
	good, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for name, tt := range map[string]struct {
		address string
		roots   *x509.CertPool
		want    error
	}{
		"of the authority that was named": {own.serve(t, good, here), own.pool, nil},
		"of nobody known":                 {own.serve(t, good, here), nil, ErrServiceCertificate},
		"expired":                         {own.serve(t, past, here), own.pool, ErrServiceCertificate},
		"of another host":                 {own.serve(t, good, net.IPv4(10, 0, 0, 1)), own.pool, ErrServiceCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := serviceAt(t, tt.address, ServiceConfig{Roots: tt.roots}).Claims(t.Context(), "secret")
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func TestServiceStopsWhenItsCallerDoes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, _ := asked(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := s.Claims(ctx, "secret"); !errors.Is(err, ErrServiceAway) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestThisMachine(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true,
		"": false, "localhost.example.com": false, "192.168.1.1": false, "0.0.0.0": false, "::": false, "2130706433": false,
	} {
		if ThisMachine(host) != want {
			t.Errorf("%q is this machine: %v", host, !want)
		}
	}
}
