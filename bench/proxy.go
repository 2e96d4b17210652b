package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// proxy is another relay: it passes WebSockets on to our server.
type proxy struct {
	*process
	address string
}

// proxies are told to pass WebSockets on to our server, %[2]s, and nothing else; for the rest Debian's values hold. They
// listen at %[1]s, and %[3]s is a folder of their own.
var proxies = map[string]struct {
	asRoot, settings string
	arguments        []string // the file comes behind them
}{
	toNginx: {"user root;", `
daemon off;
worker_processes auto;
pid %[3]s/pid;
error_log stderr error;
events { worker_connections 8192; }
http {
	access_log off;
	client_body_temp_path %[3]s/1;
	proxy_temp_path %[3]s/2;
	fastcgi_temp_path %[3]s/3;
	uwsgi_temp_path %[3]s/4;
	scgi_temp_path %[3]s/5;
	server {
		listen %[1]s;
		location / {
			proxy_pass http://%[2]s;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection upgrade;
			proxy_read_timeout 1h;
			proxy_send_timeout 1h;
		}
	}
}
`, []string{"-e", "stderr", "-c"}},
	toHAProxy: {"", `
global
	maxconn 8192
defaults
	mode http
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout tunnel 1h
frontend front
	bind %[1]s
	default_backend back
backend back
	server trellis %[2]s
# %[3]s
`, []string{"-db", "-q", "-f"}},
}

// errMissing says that a program is not there.
var errMissing = errors.New("not installed")

// startProxy starts one in front of an address.
func startProxy(name, upstream string) (*proxy, error) {
	program, err := find(name)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-"+name+"-")
	if err != nil {
		return nil, err
	}
	front, _, err := freeAddresses()
	if err != nil {
		return nil, err
	}
	p := proxies[name]
	file := filepath.Join(dir, "settings")
	settings := fmt.Sprintf(p.settings, front, upstream, dir)
	if os.Getuid() == 0 {
		settings = p.asRoot + settings // else it gives up its rights, and with them this folder
	}
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		return nil, err
	}
	running, err := launch(dir, program, append(p.arguments, file)...)
	if err != nil {
		return nil, err
	}
	if err := running.await(func() bool { return answers(front) }); err != nil {
		running.stop()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &proxy{running, front}, nil
}

// find looks for a program, where Debian puts daemons, too.
func find(name string) (string, error) {
	for _, at := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(at); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is %w", name, errMissing)
}

func answers(address string) bool {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
