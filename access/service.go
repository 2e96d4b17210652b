package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What can be wrong with asking another service about a key of its own; [ErrClaims] is one more. That it refuses the key is
// [ErrKeyUnknown].
var (
	ErrServiceAway        = errors.New("the service that knows the key does not answer")
	ErrServiceCertificate = errors.New("the certificate of the service that knows the key is not accepted")
	ErrServiceLimited     = errors.New("the service that knows the key wants to be asked later")
)

// LimitedError is ErrServiceLimited with the time after which the service may be asked again; zero if it did not say.
type LimitedError struct{ After time.Duration }

func (e LimitedError) Error() string { return ErrServiceLimited.Error() }

// Is makes it the fact that it is.
func (e LimitedError) Is(target error) bool { return target == ErrServiceLimited }

// Bounds of one question.
const (
	askWithin   = 5 * time.Second
	askTries    = 3
	askPause    = 200 * time.Millisecond // before the second try, twice that before the third; about half of it is chance
	maxAnswer   = 64 << 10
	maxAnswered = 10_000 // answers remembered at once
	answerLife  = time.Minute
	maxSameHost = 3 // redirects within the service
)

// ServiceConfig says which service to ask. Only Origin is required.
type ServiceConfig struct {
	Origin *url.URL       // see [ParseService]
	Roots  *x509.CertPool // who may sign its certificate; nil means whom this machine trusts
	Within time.Duration  // how long one question may take with all its tries; 0 means 5 s
	Now    func() time.Time
}

// Service is somebody else's service of the documented shape, asked about keys that belong to it.
type Service struct {
	claims string
	client *http.Client
	within time.Duration
	now    func() time.Time
	secret [32]byte // answers are remembered under a hash that only this process can make
	asked  askings

	mu    sync.Mutex
	known map[[32]byte]remembered
}

type remembered struct {
	claims Claims
	until  time.Time
}

// ParseService reads where a service is: its origin, bare or ending in /api. Keys are sent there, so only https will do,
// except to this machine itself.
func ParseService(address string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("should be https:// and a host, and perhaps /api")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !ThisMachine(u.Hostname())) {
		return nil, errors.New("should begin with https:// since keys are sent there; http:// is only for this machine itself")
	}
	path := strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/api")
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}, nil
}

// ThisMachine says whether a host is the one that this runs on: what goes there need not be encrypted.
func ThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || (ip != nil && ip.IsLoopback())
}

// NewService makes a Service; it asks nothing yet.
func NewService(c ServiceConfig) (*Service, error) {
	if c.Origin == nil {
		return nil, errors.New("new service: Origin must be given")
	}
	if c.Within == 0 {
		c.Within = askWithin
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{claims: c.Origin.JoinPath("api", "claims").String(), within: c.Within, now: c.Now, known: map[[32]byte]remembered{}}
	if _, err := rand.Read(s.secret[:]); err != nil {
		return nil, fmt.Errorf("new service: %w", err)
	}
	s.client = &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           2,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		// The key goes nowhere but to the service itself. The library would take it along to a subdomain.
		CheckRedirect: func(to *http.Request, before []*http.Request) error {
			if len(before) > maxSameHost || to.URL.Scheme != c.Origin.Scheme || to.URL.Host != c.Origin.Host {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	return s, nil
}

// Close lets go of idle connections.
func (s *Service) Close() { s.client.CloseIdleConnections() }

// Claims says whom a key stands for. It answers within its time limit, out of memory where it was told within the last minute.
func (s *Service) Claims(ctx context.Context, key string) (Claims, error) {
	if key == "" {
		return Claims{}, ErrKeyMissing
	}
	if len(key) > maxToken || strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return Claims{}, ErrKeyUnknown // nothing that a header can carry
	}
	at := s.print(key)
	if c, ok := s.recall(at); ok {
		return c, nil
	}
	return s.ask(ctx, key, at)
}

// Again asks even where the answer is known: something has happened that makes it doubtful.
func (s *Service) Again(ctx context.Context, key string) (Claims, error) {
	return s.ask(ctx, key, s.print(key))
}

func (s *Service) ask(ctx context.Context, key string, at [32]byte) (_ Claims, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	defer func() { s.asked.note(err, s.now()) }()
	for try := 1; ; try++ {
		c, err := s.once(ctx, key)
		switch {
		case err == nil:
			s.keep(at, c)
			return c, nil
		case errors.Is(err, ErrKeyUnknown):
			s.forget(at)
		}
		var again againError
		if !errors.As(err, &again) || try == askTries || !pause(ctx, try) {
			return Claims{}, err
		}
	}
}

// againError is a failure after which another try may well succeed.
type againError struct{ error }

func (e againError) Unwrap() error { return e.error }

// pause waits before the next try, each time twice as long and never quite the same.
func pause(ctx context.Context, try int) bool {
	most := askPause << (try - 1)
	some, err := rand.Int(rand.Reader, big.NewInt(int64(most)))
	if err != nil {
		return false
	}
	timer := time.NewTimer(most/2 + time.Duration(some.Int64()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once asks one time.
func (s *Service) once(ctx context.Context, key string) (Claims, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.claims, nil)
	if err != nil {
		return Claims{}, fmt.Errorf("ask for claims: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Accept", "application/json")
	answer, err := s.client.Do(request)
	if err != nil {
		return Claims{}, askingFailed(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return Claims{}, askingFailed(err)
	}
	if err := refusedBy(answer, len(body)); err != nil {
		return Claims{}, err
	}
	return ParseClaims(body)
}

// refusedBy makes a fact of every answer that is not the claims.
func refusedBy(answer *http.Response, length int) error {
	switch code := answer.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return ErrKeyUnknown
	case code == http.StatusTooManyRequests:
		return LimitedError{After: retryAfter(answer.Header.Get("Retry-After"))}
	case code == http.StatusBadGateway, code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout:
		return againError{fmt.Errorf("%w: it answered %d", ErrServiceAway, code)}
	case code >= 500:
		return fmt.Errorf("%w: it answered %d", ErrServiceAway, code)
	case code >= 300 && code < 400:
		return fmt.Errorf("%w: it sends us to another address", ErrClaims)
	case code != http.StatusOK:
		return fmt.Errorf("%w: it answered %d", ErrClaims, code)
	case length > maxAnswer:
		return fmt.Errorf("%w: it is too long", ErrClaims)
	}
	return nil
}

// askingFailed tells a certificate that is not accepted from a service that is not there.
func askingFailed(err error) error {
	if CertificateFault(err) {
		return fmt.Errorf("%w: %w", ErrServiceCertificate, withoutAddress(err))
	}
	away := fmt.Errorf("%w: %w", ErrServiceAway, withoutAddress(err))
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return againError{away}
	}
	return away
}

// CertificateFault says whether it was the certificate for which a TLS connection did not come to be.
func CertificateFault(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// withoutAddress drops the method and address that the library puts in front.
func withoutAddress(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// retryAfter reads seconds; dates are rare and a guess would do as well.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(strings.TrimSpace(header))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 24*60*60)) * time.Second
}

func (s *Service) print(key string) [32]byte {
	mac := hmac.New(sha256.New, s.secret[:])
	mac.Write([]byte(key))
	return [32]byte(mac.Sum(nil))
}

func (s *Service) recall(at [32]byte) (Claims, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.known[at]
	return r.claims, ok && s.now().Before(r.until)
}

func (s *Service) keep(at [32]byte, c Claims) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxAnswered {
		clear(s.known) // it is only a saving
	}
	s.known[at] = remembered{claims: c, until: s.now().Add(answerLife)}
}

func (s *Service) forget(at [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, at)
}
