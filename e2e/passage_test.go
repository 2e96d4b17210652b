package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// passage stands before a port of a service and decides what gets through. It is open at first.
type passage struct {
	address string
	to      string
	inner   *tls.Config // nil hands bytes on as they come, else TLS ends here

	mu     sync.Mutex
	mood   mood
	shown  *tls.Certificate
	age    int // connections of an earlier age are swallowed for ever
	conns  map[net.Conn]struct{}
	closed bool
}

type mood byte

const (
	passOpen   mood = iota
	passShut        // whoever comes is hung up on
	passSilent      // nothing gets through and nobody is told: as a network does that drops packets
)

// newPassage leads to that address. With a certificate it ends TLS.
func newPassage(t testing.TB, to string, shown *tls.Certificate) *passage {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &passage{address: l.Addr().String(), to: to, shown: shown, conns: map[net.Conn]struct{}{}}
	if shown != nil {
		p.inner = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.shown, nil
		}}
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.cut(true)
		all.Wait()
	})
	return p
}

// serve carries one connection until both sides have ended.
func (p *passage) serve(near net.Conn) {
	age, mood, ok := p.keep(near)
	defer p.drop(near)
	if !ok || mood == passShut {
		return
	}
	if mood == passSilent {
		_, _ = io.Copy(io.Discard, near)
		return
	}
	far, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	if _, _, ok := p.keep(far); !ok {
		_ = far.Close()
		return
	}
	defer p.drop(far)
	talk := near
	if p.inner != nil {
		talk = tls.Server(near, p.inner)
	}
	var both sync.WaitGroup
	both.Go(func() { p.carry(far, talk, age) })
	both.Go(func() { p.carry(talk, far, age) })
	both.Wait()
}

// carry hands on until one side ends. What comes of an earlier age is read and forgotten, and so is its end.
func (p *passage) carry(to, from net.Conn, age int) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if p.older(age) {
			if err != nil {
				return
			}
			continue
		}
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
	}
}

func (p *passage) older(age int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return age < p.age
}

func (p *passage) keep(conn net.Conn) (age int, now mood, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = struct{}{}
	return p.age, p.mood, !p.closed
}

func (p *passage) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	_ = conn.Close()
}

// set changes what happens from now on. Silence is for ever for the connections there are.
func (p *passage) set(to mood) {
	p.mu.Lock()
	p.mood = to
	if to == passSilent {
		p.age++
	}
	p.mu.Unlock()
	if to == passShut {
		p.cut(false)
	}
}

// show has those who come from now on see another certificate, and ends the connections there are.
func (p *passage) show(c *tls.Certificate) {
	p.mu.Lock()
	p.shown = c
	p.mu.Unlock()
	p.cut(false)
}

// cut ends all connections.
func (p *passage) cut(last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = p.closed || last
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// authority signs certificates for this machine; file holds its own.
type authority struct {
	t    testing.TB
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	plan := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign}
	var der []byte
	a.key, der = a.sign(plan, plan, nil)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	a.cert = cert
	must(t, os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return a
}

func (a *authority) sign(plan, parent *x509.Certificate, by *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, plan, parent, &key.PublicKey, by)
	must(a.t, err)
	return key, der
}

// until gives a certificate for this machine that ends then.
func (a *authority) until(end time.Time) *tls.Certificate {
	a.t.Helper()
	plan := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "broker"}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	key, der := a.sign(plan, a.cert, a.key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
