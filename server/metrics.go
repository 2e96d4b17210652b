package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
)

// Counted is where numbers for /metrics come from, besides the server's own and those of Front. What is nil is left out. Nothing that
// is counted may be named by what a person or a device chose: no entity, key, topic or address becomes a label.
type Counted struct {
	Version string
	Hub     func() mqttproxy.Stats
	Record  func() history.Stats
	Outbox  func() mqttproxy.OutboxStats
	Devices func() DeviceStats // of a broker inside
	Panics  func() uint64      // mistakes of ours in what lies behind the hub
}

// DeviceStats count what a broker inside did with devices.
type DeviceStats struct {
	Connections   int
	Accepted      uint64 // sessions
	Refused       uint64 // connections turned away, or cut for breaking a rule
	DroppedQoS0   uint64 // messages that came faster than they could be recorded
	Undeliverable uint64
	Unclaimed     uint64 // messages that waited too long for a session that is away
}

// tallies are what the server itself counts.
type tallies struct {
	refused *prometheus.CounterVec // keys and codes, by the reason of errors.go
	limited *prometheus.CounterVec // requests, by the limit
	panics  prometheus.Counter
}

func newTallies() tallies {
	t := tallies{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trellis_sign_ins_refused_total", Help: "Keys and one-time links that were not taken, by the reason.",
		}, []string{"reason"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trellis_rate_limited_total", Help: "Requests that came too often of an address or with a key, by the limit that they met.",
		}, []string{"limit"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trellis_request_panics_total", Help: "Requests that hit a mistake in the program and were given up alone.",
		}),
	}
	for _, limit := range limitNames {
		t.limited.WithLabelValues(limit)
	}
	for _, known := range []error{
		access.ErrKeyMissing, access.ErrKeyUnknown, access.ErrKeyRevoked, access.ErrKeyExpired, errCode, tooMany{},
		access.ErrServiceAway, access.ErrServiceCertificate, access.ErrServiceLimited, access.ErrClaims, errors.New("any other"),
	} {
		t.refused.WithLabelValues(problemOf(known).reason)
	}
	return t
}

// registry holds everything that is told. It is our own: the library's default one is anybody's.
func (s *Server) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		s.tallies.refused, s.tallies.limited, s.tallies.panics, numbers{s},
	)
	return r
}

// ServeMetrics answers /metrics on this listener, which nobody else uses, until Close. With a token only those who send it are
// answered; without one only those who ask by a name of this machine itself.
func (s *Server) ServeMetrics(l net.Listener, token string) error {
	err := s.metrics.serve(s.metricsHandler(token), l)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// metricsServer is a server of its own: the pages' is for everybody.
type metricsServer struct{ http.Server }

func newMetricsServer(log *slog.Logger) *metricsServer {
	return &metricsServer{http.Server{
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

func (m *metricsServer) serve(h http.Handler, l net.Listener) error {
	m.Handler = h
	return m.Serve(l)
}

func (s *Server) metricsHandler(token string) http.Handler {
	all := http.NewServeMux()
	all.Handle("GET /metrics", promhttp.HandlerFor(s.registry(), promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelError),
	}))
	want := sha256.Sum256([]byte("Bearer " + token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		switch {
		case token == "" && !access.ThisMachine(hostOf(r)):
			// A page in a browser on this machine may have had its own name lead here.
			http.Error(w, "Ask for localhost: without a token this is for this machine alone.", http.StatusForbidden)
		case token != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 0:
			w.Header().Set("WWW-Authenticate", `Bearer realm="trellis metrics"`)
			http.Error(w, "Send the token of --metrics-token-file as 'Authorization: Bearer'.", http.StatusUnauthorized)
		default:
			all.ServeHTTP(w, r)
		}
	})
}

// hostOf is the host that a request was addressed to, without its port.
func hostOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return strings.Trim(r.Host, "[]")
}

// family is one metric: a number for each value of its only label, or one number alone under "".
type family struct {
	name, help string
	kind       prometheus.ValueType
	label      string
	values     map[string]float64
}

func gauge(name, help string, value int) family {
	return family{name, help, prometheus.GaugeValue, "", map[string]float64{"": float64(value)}}
}

func counter(name, help string, value uint64) family {
	return family{name, help, prometheus.CounterValue, "", map[string]float64{"": float64(value)}}
}

// by gives the values by a label.
func by[N int | uint64](kind prometheus.ValueType, name, help, label string, values map[string]N) family {
	f := family{name, help, kind, label, map[string]float64{}}
	for of, n := range values {
		f.values[of] = float64(n)
	}
	return f
}

func (f family) send(to chan<- prometheus.Metric) {
	if f.label == "" {
		to <- prometheus.MustNewConstMetric(prometheus.NewDesc(f.name, f.help, nil, nil), f.kind, f.values[""])
		return
	}
	about := prometheus.NewDesc(f.name, f.help, []string{f.label}, nil)
	for of, n := range f.values {
		to <- prometheus.MustNewConstMetric(about, f.kind, n, of)
	}
}
