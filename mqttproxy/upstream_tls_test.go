package mqttproxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	bigint "math/big"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"testing"
	"time"
)

// encrypted is a lenient broker that also listens with TLS, plain MQTT and WebSocket, under a certificate that ends then.
func encrypted(t *testing.T, until time.Time) (mqtts, wss *url.URL, roots *x509.CertPool) {
	t.Helper()
	m := newMosquitto(t)
	roots = m.certificate(until)
	tlsPort, wsPort := freePort(t), freePort(t)
	with := fmt.Sprintf("cafile %s\ncertfile %s\nkeyfile %s\n", m.file("cert.pem"), m.file("cert.pem"), m.file("key.pem"))
	m.write("passwords", "k1:"+passwordLine(shedKey)+"\n")
	m.write("conf", m.common()+"allow_anonymous false\npassword_file "+m.file("passwords")+"\n"+
		"listener "+tlsPort+" 127.0.0.1\n"+with+"listener "+wsPort+" 127.0.0.1\nprotocol websockets\n"+with)
	m.start()
	return &url.URL{Scheme: "mqtts", Host: "127.0.0.1:" + tlsPort}, &url.URL{Scheme: "wss", Host: "127.0.0.1:" + wsPort, Path: "/ws"}, roots
}

// freePort is one where nobody listens. It is none of those that the system gives away by itself, so that it is still free when a program comes to
// listen there, again and again.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := fmt.Sprint(10_000 + mathrand.IntN(10_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

func (m *mosquitto) certificate(until time.Time) *x509.CertPool {
	m.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	plan := &x509.Certificate{SerialNumber: bigint.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, &key.PublicKey, key)
	if err != nil {
		m.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	m.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})))
	pool := x509.NewCertPool()
	if cert, err := x509.ParseCertificate(der); err == nil {
		pool.AddCert(cert)
	}
	return pool
}

func TestLinksAreEncrypted(t *testing.T) {
	mqtts, wss, roots := encrypted(t, time.Now().Add(time.Hour))
	nobody := &url.URL{Scheme: "mqtts", Host: "127.0.0.1:" + freePort(t)}
	for name, at := range map[string][]*url.URL{
		"over TCP":                           {mqtts},
		"over WebSocket":                     {wss},
		"over WebSocket where TCP is no way": {nobody, wss},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, at[0], func(c *UplinksConfig) { c.Addresses, c.TLS = at, &tls.Config{RootCAs: roots} })
			t.Cleanup(f.Need(shed()))
			f.up()
			if err := f.Publish(t.Context(), shedOwn, []byte(name), 1); err != nil {
				t.Fatal(err)
			}
			f.until(func(took []Arrival) bool { // what the way before had no time to acknowledge comes again
				return len(took) > 0 && string(took[len(took)-1].Payload) == name
			})
			if _, err := f.Reach(t.Context()); err != nil {
				t.Errorf("reached: %v", err)
			}
		})
	}
}

func TestCertificatesThatAreNotAcceptedAreSaid(t *testing.T) {
	mqtts, wss, _ := encrypted(t, time.Now().Add(time.Hour))
	expired, expiredWS, roots := encrypted(t, time.Now().Add(-time.Hour))
	for name, tt := range map[string]struct {
		at    *url.URL
		roots *x509.CertPool
	}{
		"of nobody known, over TCP":       {mqtts, nil},
		"of nobody known, over WebSocket": {wss, nil},
		"expired, over TCP":               {expired, roots},
		"expired, over WebSocket":         {expiredWS, roots},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, tt.at, func(c *UplinksConfig) { c.TLS = &tls.Config{RootCAs: tt.roots} })
			t.Cleanup(f.Need(shed()))
			f.is(because(WhyCertificate))
		})
	}
}
