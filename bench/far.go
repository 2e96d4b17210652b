package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trellis/e2e/wire"
)

// far is another service: a mosquitto with a password file, and the answer to whom its one key stands for. Everybody in front of it
// logs in with that key.
type far struct {
	*mosquitto
	key    key
	claims net.Listener
	told   *http.Server
}

// farKey is what the service's people have; the feed is published by somebody else.
var farKey = key{Sub: "bench:eu:shed", JTI: "k1", Key: "an-access-key-of-another-service"}

const feedUser = "feed"

func startFar() (*far, error) {
	f := &far{key: farKey}
	salt := []byte("twelve-bytes")
	hash, err := pbkdf2.Key(sha512.New, farKey.Key, salt, 101, 64)
	if err != nil {
		return nil, fmt.Errorf("hash a password: %w", err)
	}
	secret := "$7$101$" + base64.StdEncoding.EncodeToString(salt) + "$" + base64.StdEncoding.EncodeToString(hash)
	f.mosquitto, err = launchMosquitto(func(dir string) (string, error) {
		passwords := filepath.Join(dir, "passwords")
		text := farKey.JTI + ":" + secret + "\n" + feedUser + ":" + secret + "\n"
		return "allow_anonymous false\npassword_file " + passwords + "\n", os.WriteFile(passwords, []byte(text), 0o600)
	})
	if err != nil {
		return nil, err
	}
	if f.claims, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		f.mosquitto.stop()
		return nil, fmt.Errorf("open the claims: %w", err)
	}
	f.told = &http.Server{Handler: http.HandlerFunc(f.answer), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = f.told.Serve(f.claims) }() // ends with stop
	return f, nil
}

// answer says whom a key stands for, as documented.
func (f *far) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/claims" || r.Header.Get("Authorization") != "Bearer "+f.key.Key {
		http.Error(w, `{"error":"Unauthorized","message":"unknown key"}`, http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"sub": f.key.Sub, "jti": f.key.JTI})
}

func (f *far) stop() {
	_ = f.told.Close()
	f.mosquitto.stop()
}

// topic is where the feed comes.
func (f *far) topic() string { return f.key.topic("messages") }

// feeder opens one that publishes it.
func (f *far) feeder(n int) (*wire.Client, string, error) {
	c, err := wire.Open(context.Background(), f.tcp, wire.Login{ClientID: fmt.Sprintf("feed-%d", n), User: feedUser, Password: f.key.Key})
	return c, f.topic(), err
}

// bridge starts a second mosquitto that brings everything of the far one to its own subscribers.
func (f *far) bridge() (*mosquitto, error) {
	return launchMosquitto(func(string) (string, error) {
		return "allow_anonymous true\nconnection far\naddress " + f.tcp + "\ntopic # in 0\nnotifications false\nbridge_protocol_version mqttv311\n" +
			"remote_clientid " + f.key.Sub + "#bridge\nremote_username " + f.key.JTI + "\nremote_password " + f.key.Key + "\n", nil
	})
}

// front starts a trellis in front of it, and signs in with the key.
func (f *far) front(o options, sync string) (*trellis, error) {
	t, _, err := openTrellis(o, `(?s)Open\s+(http://(\S+))\n.*operator of this server: \S+#(\S+)`, append([]string{
		"--upstream", "http://" + f.claims.Addr().String(), "--upstream-mqtt", "mqtt://" + f.tcp, "--sync", sync,
	}, manyPages...)...)
	if err != nil {
		return nil, err
	}
	if err := t.signIn("/session", url.Values{"key": {f.key.Key}}); err != nil {
		t.stop()
		return nil, err
	}
	t.kept = f.key
	return t, nil
}

// fed is a message of the feed, as the service hands it on: it names its sender.
func fed(sent time.Time) []byte {
	return append([]byte(strings.TrimSuffix(string(envelope(sent)), "}")), `,"source":"bench:eu:shed"}`...)
}
