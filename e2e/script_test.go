package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"trellis/e2e/wire"
)

// TestScripts runs testdata/script: what the command line answers to right and wrong words.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { _ = taken.Close() })
			env.Setenv("TAKEN", taken.Addr().String())
			env.Setenv("PATH", filepath.Dir(trellisBin)+string(os.PathListSeparator)+os.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "serves": serves},
	})
}

// exits CODE PROGRAM ARGS… holds a program to its exit code; if that is not 0, to saying so in one line on stderr and nothing on stdout.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	began := time.Now()
	code := 0
	if failed := ts.Exec(args[1], args[2:]...); failed != nil {
		exit, is := failed.(*exec.ExitError)
		if !is {
			ts.Fatalf("%v", failed)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
	if lasted := time.Since(began); lasted > prompt {
		ts.Fatalf("it took %v", lasted)
	}
	errs, out := ts.ReadFile("stderr"), ts.ReadFile("stdout")
	if want != 0 && (strings.Count(errs, "\n") != 1 || strings.TrimSpace(errs) == "" || out != "") {
		ts.Fatalf("it should say one line on stderr and nothing on stdout")
	}
}

// serves ARGS… starts trellis serve with these words, waits until it is open, keeps what it said in the file "said", and stops it.
func serves(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command(trellisBin, append([]string{"serve"}, args...)...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = os.Environ()
	for _, name := range []string{"TRELLIS_LISTEN", "TRELLIS_MQTT", "TRELLIS_DATA", "TRELLIS_ACCOUNT", "TRELLIS_REGION", "TRELLIS_CONFIG", "TRELLIS_PUBLIC_URL", "TRELLIS_SYNC"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	out, errs := newOutput(), newOutput()
	cmd.Stdout, cmd.Stderr = out, errs
	ts.Check(cmd.Start())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait()
	}()
	open := out.wait(`(?m)^Devices .*\n`, prompt, gone)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-gone:
	case <-time.After(prompt):
		_ = cmd.Process.Kill()
		<-gone
		ts.Fatalf("it did not stop within %v", prompt)
	}
	ts.Check(os.WriteFile(ts.MkAbs("said"), []byte(out.String()), 0o600))
	if open == nil || cmd.ProcessState.ExitCode() != 0 {
		ts.Fatalf("it ended with %d and said:\n%s%s", cmd.ProcessState.ExitCode(), out, tail(errs.String(), 20))
	}
}

func TestASecondServerOnTheSameFolderIsRefused(t *testing.T) {
	s := start(t)
	_, errs, code := trellis(t, "serve", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--data", s.data)
	if code != 1 || strings.Count(errs, "\n") != 1 {
		t.Errorf("it ended with %d and said:\n%s", code, errs)
	}
	k := s.addKey("shed")
	must(t, s.device(k, "").Ping())
}

func TestSIGTERMDrainsAndEndsWithNothing(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	live, device, socket := page.live(), s.device(k, ""), s.open(s.ws, k.login("#ws"))
	silent, err := net.Dial("tcp", s.mqtt)
	must(t, err)
	defer func() { _ = silent.Close() }()
	for n := range 50 {
		must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: fmt.Appendf(nil, `{"n":%d}`, n)}))
	}

	began := time.Now()
	if code := s.stop(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	t.Logf("stopped after %v", time.Since(began))
	for name, c := range map[string]*wire.Client{"live": live, "TCP": device, "ws": socket} {
		if _, err := c.Ended(prompt); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if records := recorded(t, s.data, k.topic("publish"), 1000); len(records) != 50 {
		t.Errorf("%d of 50 acknowledged messages are on record", len(records))
	}
	s.start()
	s.device(k, "")
}
