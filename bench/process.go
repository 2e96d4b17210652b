package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a server's child process.
type process struct {
	cmd  *exec.Cmd
	out  lines
	gone chan struct{}
	dir  string
}

// lines collects output; it is small.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func launch(dir, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), gone: make(chan struct{}), dir: dir}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait()
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// family is the process and its children: nginx works in several.
func (p *process) family() ([]int, error) {
	all := []int{p.pid()}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("find children: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if fields, err := stat(pid); err == nil && fields[1] == strconv.Itoa(p.pid()) {
			all = append(all, pid)
		}
	}
	return all, nil
}

// cpu is the processor time that the family has used.
func (p *process) cpu() (time.Duration, error) {
	var used time.Duration
	err := p.each(func(pid int) error {
		n, err := cpu(pid)
		used += n
		return err
	})
	return used, err
}

// memory is what the family holds, in bytes. What they share counts for each: only differences mean something.
func (p *process) memory() (float64, error) {
	var held float64
	err := p.each(func(pid int) error {
		n, err := memory(pid)
		held += n
		return err
	})
	return held, err
}

func (p *process) each(do func(pid int) error) error {
	all, err := p.family()
	if err != nil {
		return err
	}
	for _, pid := range all {
		if err := do(pid); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the server and removes what it kept.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
	_ = os.RemoveAll(p.dir)
}

// await asks until ready says yes.
func (p *process) await(ready func() bool) error {
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		if ready() {
			return nil
		}
		select {
		case <-p.gone:
			return fmt.Errorf("the server ended: %s", p.out.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("the server did not open: %s", p.out.String())
}

// tick is the unit of times in /proc/PID/stat; Linux has fixed it at 100 a second for programs.
const tick = time.Second / 100

// cpu is the processor time that a process has used.
func cpu(pid int) (time.Duration, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	var used time.Duration
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		used += time.Duration(n) * tick
	}
	return used, nil
}

// usage is how much processor time there has been since some moment long ago, how much of it somebody used, and how much
// of that was ours: this process and its children that have ended.
type usage struct{ all, used, ours time.Duration }

// used reads the machine's usage.
func used() (u usage, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u, fmt.Errorf("read processor time: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(first)[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return u, fmt.Errorf("read processor time: %w", err)
		}
		u.all += time.Duration(n) * tick
		switch i {
		case 0, 1, 2, 7: // user, nice, system, steal
			u.used += time.Duration(n) * tick
		}
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			return u, fmt.Errorf("read processor time: %w", err)
		}
		u.ours += time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return u, nil
}

// others is the share of the machine that was used by others since then.
func (u usage) others(since usage) float64 {
	return max(0, float64((u.used-since.used)-(u.ours-since.ours))/float64(u.all-since.all))
}

// stat is what the system tells of a process in one line: its state, its parent and more.
func stat(pid int) ([]string, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	// The name of the program is in brackets and may hold anything; fields are counted from behind it.
	return strings.Fields(string(line[strings.LastIndexByte(string(line), ')')+1:])), nil
}

// memory is the resident set of a process in bytes.
func memory(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, fmt.Errorf("read memory: no VmRSS in /proc/%d/status", pid)
	}
	kib, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	return kib * 1024, nil
}
