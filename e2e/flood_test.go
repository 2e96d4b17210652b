package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// readPacket reads one packet, byte by byte, so that nothing of the next one is taken.
func readPacket(conn net.Conn) (wire.Packet, error) {
	_ = conn.SetReadDeadline(time.Now().Add(prompt))
	return wire.ReadPacket(bufio.NewReaderSize(onebyone{conn}, 16))
}

// onebyone gives a reader no more than it asks for, and it never asks for more than a byte.
type onebyone struct{ io.Reader }

func (o onebyone) Read(p []byte) (int, error) { return o.Reader.Read(p[:1]) }

// memory is the resident set of a process in bytes.
func memory(t testing.TB, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	must(t, err)
	return kib << 10
}

func TestSilenceIsGivenFiveSeconds(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	whole := k.login("").Packet()
	for name, say := range map[string][]byte{"nothing": nil, "half a CONNECT": whole[:len(whole)/2], "one byte": whole[:1]} {
		for door, address := range map[string]string{"TCP": s.mqtt, "ws": s.ws} {
			t.Run(door+": "+name, func(t *testing.T) {
				t.Parallel()
				conn, err := wire.Dial(t.Context(), address)
				must(t, err)
				defer func() { _ = conn.Close() }()
				began := time.Now()
				if len(say) > 0 {
					_, err = conn.Write(say)
					must(t, err)
				}
				_ = conn.SetReadDeadline(began.Add(prompt))
				n, err := conn.Read(make([]byte, 1))
				if lasted := time.Since(began); n > 0 || err == nil || lasted < 4*time.Second || lasted > 9*time.Second {
					t.Errorf("after %v: %d bytes, %v; want silence and an end after 5 s", lasted, n, err)
				}
			})
		}
	}
	t.Run("TCP: a byte now and then does not buy time", func(t *testing.T) {
		t.Parallel()
		conn, err := wire.Dial(t.Context(), s.mqtt)
		must(t, err)
		defer func() { _ = conn.Close() }()
		began := time.Now()
		tick := time.NewTicker(700 * time.Millisecond)
		defer tick.Stop()
		for _, b := range whole {
			if _, err := conn.Write([]byte{b}); err != nil || time.Since(began) > prompt {
				break
			}
			<-tick.C
		}
		if lasted := time.Since(began); lasted > 9*time.Second {
			t.Errorf("still open after %v", lasted)
		}
	})
}

func TestStrangersCannotMakeTheServerRemember(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	healthy := s.device(k, "")
	must(t, healthy.Subscribe(1, k.topic("publish")))
	roundTrip(t, healthy, k)
	before := memory(t, s.Process.Pid)

	for door, address := range map[string]string{"TCP": s.mqtt, "ws": s.ws} {
		t.Run(door+": 200 announcements of 256 MiB", func(t *testing.T) {
			var all sync.WaitGroup
			most := before
			for range 200 {
				conn, err := wire.Dial(t.Context(), address)
				must(t, err)
				all.Go(func() {
					defer func() { _ = conn.Close() }()
					_, _ = conn.Write(append([]byte{0x10, 0xff, 0xff, 0xff, 0x7f}, make([]byte, 1024)...))
					_ = conn.SetReadDeadline(time.Now().Add(atOnce))
					var slow net.Error
					if _, err := io.Copy(io.Discard, conn); errors.As(err, &slow) && slow.Timeout() {
						t.Errorf("still open after %v", atOnce)
					}
				})
				most = max(most, memory(t, s.Process.Pid))
			}
			all.Wait()
			most = max(most, memory(t, s.Process.Pid))
			if grown := most - before; grown > 8<<20 {
				t.Errorf("the server grew by %d KiB, want less than 8 MiB", grown>>10)
			} else {
				t.Logf("the server grew by %d KiB", grown>>10)
			}
			roundTrip(t, healthy, k)
		})
	}
}

func TestMoreThanAThousandDevicesMayListen(t *testing.T) {
	s := start(t)
	const perKey, keys = 60, 9
	for n := range keys {
		k := s.addKey(fmt.Sprintf("device-%d", n))
		for program := range perKey {
			if err := s.device(k, fmt.Sprintf("#%d", program)).Subscribe(1, k.topic("messages"), k.topic("publish")); err != nil {
				t.Fatalf("after %d subscriptions at QoS 1: %v", 2*(n*perKey+program), err)
			}
		}
	}
	last := s.device(s.addKey("last"), "")
	must(t, last.Ping())
}

// loopbackPorts are the TCP ports that a process listens on, besides those it was told to.
func loopbackPorts(t *testing.T, pid int, known ...string) (ports []int) {
	t.Helper()
	inodes := map[string]bool{}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(t, err)
	for _, fd := range fds {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); err == nil {
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				inodes[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		lines, err := os.ReadFile("/proc/net/" + table)
		must(t, err)
		for line := range strings.Lines(string(lines)) {
			const listening = "0A"
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != listening || !inodes[f[9]] {
				continue
			}
			_, hex, _ := strings.Cut(f[1], ":")
			port, err := strconv.ParseInt(hex, 16, 32)
			must(t, err)
			told := false
			for _, address := range known {
				told = told || strings.HasSuffix(address, fmt.Sprintf(":%d", port))
			}
			if !told {
				ports = append(ports, int(port))
			}
		}
	}
	return ports
}

func TestThePortBehindTheGateIsUselessToOthersOnTheMachine(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	s.device(k, "") // so that whatever opens on demand is open
	inside := loopbackPorts(t, s.Process.Pid, s.listen, s.mqtt)
	if len(inside) == 0 {
		t.Fatal("no port inside was found, so nothing below would be tried")
	}
	for _, port := range inside {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		for name, login := range map[string]wire.Login{
			"a valid key":     k.login("#inside"),
			"no login":        {ClientID: "x"},
			"the user's name": {ClientID: k.Sub, User: k.JTI},
			"the key as user": {ClientID: k.Sub, User: k.Key, Password: k.Key},
			"the usual names": {ClientID: "x", User: "admin", Password: "admin"},
			"only a password": {ClientID: "x", Password: k.Key},
		} {
			t.Run(name, func(t *testing.T) {
				if c, err := wire.Open(t.Context(), address, login); err == nil {
					_ = c.Close()
					t.Errorf("port %d let in %s", port, name)
				}
			})
		}
		t.Run("another protocol", func(t *testing.T) {
			conn, err := net.Dial("tcp", address)
			must(t, err)
			defer func() { _ = conn.Close() }()
			_, _ = conn.Write([]byte("CONNECT {\"verbose\":false}\r\nPING\r\n"))
			_ = conn.SetReadDeadline(time.Now().Add(atOnce))
			if got, _ := io.ReadAll(conn); strings.Contains(string(got), "PONG") {
				t.Errorf("port %d speaks NATS to strangers", port)
			}
		})
	}
}
