package e2e

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"trellis/e2e/wire"
)

// lenient is a real mosquitto, over all its restarts. It takes any client id, and lets a key do what it may: publish and read on its
// own publish topic, and read its messages.
type lenient struct {
	t       testing.TB
	address string
	conf    string
	*program
}

// overseer may hear and send everything there.
const overseer = "overseer"

func lenientBroker(t testing.TB, keys ...key) *lenient {
	t.Helper()
	l := &lenient{t: t, address: freeAddress(t)}
	dir := t.TempDir()
	l.conf = filepath.Join(dir, "conf")
	passwords, acl := &strings.Builder{}, &strings.Builder{}
	let := func(user, password string, rules ...string) {
		salt := []byte("twelve-bytes")
		hash, err := pbkdf2.Key(sha512.New, password, salt, 101, 64)
		must(t, err)
		_, _ = fmt.Fprintf(passwords, "%s:$7$101$%s$%s\n", user, base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(hash))
		_, _ = fmt.Fprintf(acl, "user %s\n%s\n", user, strings.Join(rules, "\n"))
	}
	let(overseer, overseer, "topic readwrite #")
	for _, k := range keys {
		let(k.JTI, k.Key, "topic readwrite "+k.topic("publish"), "topic read "+k.topic("messages"))
	}
	_, port, _ := net.SplitHostPort(l.address)
	for name, text := range map[string]string{
		"passwords": passwords.String(), "acl": acl.String(),
		"conf": fmt.Sprintf("listener %s 127.0.0.1\nuser root\nlog_type error\nlog_type warning\nlog_type notice\nlog_type information\nallow_anonymous false\npassword_file %[2]s/passwords\nacl_file %[2]s/acl\n"+
			"persistence true\npersistence_location %[2]s/\nmax_queued_messages 0\n", port, dir),
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	l.start()
	return l
}

func (l *lenient) start() {
	l.t.Helper()
	l.program = run(l.t, "mosquitto", nil, "-c", l.conf)
	if l.errs.wait(` running`, prompt, l.gone) == nil {
		l.t.Fatalf("mosquitto does not run:\n%s%s", l.out, l.errs)
	}
}

// stop has it write down what it keeps, and end.
func (l *lenient) stop() {
	l.t.Helper()
	_ = l.Process.Signal(syscall.SIGTERM)
	l.end(l.t, prompt)
}

// oversees is the login of somebody who hears everything, restarts included.
func oversees() wire.Login {
	return wire.Login{ClientID: overseer, User: overseer, Password: overseer, Persistent: true, KeepAlive: 600}
}
