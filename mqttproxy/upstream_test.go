package mqttproxy

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"trellis/access"
)

// front is what stands on top of the links: it notes what they take.
type front struct {
	*Uplinks
	t      *testing.T
	agreed atomic.Bool
	ended  atomic.Int32
	check  atomic.Pointer[error]

	mu   sync.Mutex
	took []Arrival
	fail error
	news chan struct{}
}

func shed() access.Grant {
	return access.KeyGrant(access.Subject{Account: "acme", Region: "eu", Entity: "shed"}, "k1", time.Time{})
}

// newFront stands in front of a broker; its times are short.
func newFront(t *testing.T, at *url.URL, change ...func(*UplinksConfig)) *front {
	t.Helper()
	f := &front{t: t, news: make(chan struct{})}
	c := UplinksConfig{
		Addresses: []*url.URL{at}, Secret: func(string) (string, bool) { return shedKey, true }, Take: f.take,
		Check: func(context.Context, string) error {
			if err := f.check.Load(); err != nil {
				return *err
			}
			return nil
		},
		Ended: func(string) { f.ended.Add(1) }, Agreed: func(access.Subject) bool { return f.agreed.Load() },
		Program: "test", RetryFirst: 20 * time.Millisecond, RetryMost: 100 * time.Millisecond, EchoIn: 200 * time.Millisecond, Blink: time.Millisecond,
	}
	for _, ch := range change {
		ch(&c)
	}
	u, err := NewUplinks(c)
	if err != nil {
		t.Fatal(err)
	}
	f.Uplinks = u
	t.Cleanup(func() { _ = u.Close(context.Background()) })
	return f
}

func (f *front) take(_ context.Context, came []Arrival) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.took = append(f.took, came...)
	close(f.news)
	f.news = make(chan struct{})
	return nil
}

// until waits until what was taken satisfies enough, and gives it.
func (f *front) until(enough func([]Arrival) bool) []Arrival {
	f.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		f.mu.Lock()
		took, news := f.took, f.news
		f.mu.Unlock()
		if enough(took) {
			return took
		}
		select {
		case <-news:
		case <-timeout:
			f.t.Fatalf("%d messages came, and that is not enough", len(took))
		}
	}
}

func (f *front) count(n int) []Arrival {
	f.t.Helper()
	return f.until(func(a []Arrival) bool { return len(a) >= n })
}

// is waits for a state of the link.
func (f *front) is(want func(State) bool) State {
	f.t.Helper()
	for until := time.Now().Add(20 * time.Second); ; {
		if s := f.StateOf(shed()); want(s) {
			return s
		}
		if time.Now().After(until) {
			f.t.Fatalf("the link is %+v", f.StateOf(shed()))
		}
		time.Sleep(2 * time.Millisecond) // states are asked for, nothing tells them
	}
}

func (f *front) up() {
	f.t.Helper()
	for until := time.Now().Add(20 * time.Second); f.Stats().Up == 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			f.t.Fatalf("the link does not come up: %+v", f.StateOf(shed()))
		}
	}
}

func because(w Why) func(State) bool { return func(s State) bool { return s.Down && s.Why == w } }

// client logs in to a broker as anybody else would.
func (m *mosquitto) client(id, user, key string, lost func(error)) mqtt.Client {
	m.t.Helper()
	o := mqtt.NewClientOptions().AddBroker("tcp://" + m.address().Host).SetClientID(id).SetUsername(user).SetPassword(key)
	o.SetProtocolVersion(4).SetAutoReconnect(false).SetOrderMatters(true)
	if lost != nil {
		o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost(err) })
	}
	c := mqtt.NewClient(o)
	if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		m.t.Fatalf("log in as %s: %v", id, token.Error())
	}
	m.t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func (m *mosquitto) service() mqtt.Client {
	return m.client("service", "service", serviceKey, nil)
}

func send(t *testing.T, c mqtt.Client, topic, payload string, qos byte) {
	t.Helper()
	if token := c.Publish(topic, qos, false, payload); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("publish: %v", token.Error())
	}
}

func TestManyReadersAreOneConnectionBesideTheDevice(t *testing.T) {
	m := lenient(t, fullACL)
	var dropped atomic.Int32
	device := m.client(shedSub, "k1", shedKey, func(error) { dropped.Add(1) })
	f := newFront(t, m.address())
	for range 15 {
		t.Cleanup(f.Need(shed()))
	}
	f.up()
	send(t, m.service(), shedHeard, "hello", 1)
	send(t, device, shedOwn, "21.5", 1)
	took := f.count(2)
	if string(took[0].Payload) != "hello" || took[1].Topic != shedOwn || took[1].KeyID != "k1" {
		t.Errorf("came %+v", took)
	}
	m.said("as "+shedOurs+" ", 1)
	if n := strings.Count(m.log(), "as "+shedOurs+" "); n != 1 || dropped.Load() != 0 {
		t.Errorf("%d connections of ours, the device was dropped %d times:\n%s", n, dropped.Load(), m.log())
	}
}

func TestWhatIsSentFromHereIsShownOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		broker func(*testing.T) *mosquitto
		sent   bool
	}{
		"as the broker brings it back": {func(t *testing.T) *mosquitto { return lenient(t, fullACL) }, false},
		"as sent, where the broker grants and is quiet": {func(t *testing.T) *mosquitto {
			return lenient(t, "topic write "+shedOwn+"\ntopic read "+shedHeard+"\n")
		}, true},
		"as sent, where the broker does not grant": {strict, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := tt.broker(t)
			f := newFront(t, m.address(), func(c *UplinksConfig) {
				if !tt.sent {
					c.EchoIn = time.Hour // it comes, however long that takes
				}
			})
			f.agreed.Store(name == "as sent, where the broker does not grant")
			t.Cleanup(f.Need(shed()))
			f.up()
			for n := range 20 {
				if err := f.Publish(t.Context(), shedOwn, fmt.Appendf(nil, "press %d", n/2), 1); err != nil {
					t.Fatal(err)
				}
			}
			f.count(20)
			send(t, m.service(), shedHeard, "the end", 1)
			took := f.count(21)
			for i, a := range took[:20] {
				if want := fmt.Sprintf("press %d", i/2); string(a.Payload) != want || a.Sent != tt.sent || a.Topic != shedOwn {
					t.Errorf("message %d is %q, sent %v; want %q", i, a.Payload, a.Sent, want)
				}
			}
			if len(took) != 21 {
				t.Errorf("%d messages came, want 21", len(took))
			}
		})
	}
}

func TestAKeyThatIsGoodNoMoreIsSaid(t *testing.T) {
	m := lenient(t, fullACL)
	refused := error(access.ErrKeyUnknown)
	f := newFront(t, m.address(), func(c *UplinksConfig) {
		c.Secret = func(string) (string, bool) { return "another key", true }
		c.FightPause = time.Hour
	})
	f.check.Store(&refused)
	t.Cleanup(f.Need(shed()))
	f.is(because(WhyRefused))
	if f.ended.Load() != 1 {
		t.Errorf("the key's end was told %d times", f.ended.Load())
	}
}

func TestNothingIsLostWhenTheBrokerRestarts(t *testing.T) {
	const each = 3400
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	t.Cleanup(f.Need(shed()))
	f.up()
	n := 0
	for round := range 3 {
		service := m.service()
		for range each {
			send(t, service, shedHeard, fmt.Sprint(n), 1)
			n++
		}
		if round == 2 {
			break
		}
		m.end(syscall.SIGTERM)
		f.is(func(s State) bool { return s.Down })
		m.start()
	}
	took := f.until(func(a []Arrival) bool { return len(a) > 0 && string(a[len(a)-1].Payload) == fmt.Sprint(n-1) })
	next, again := 0, 0
	for _, a := range took {
		var got int
		_, _ = fmt.Sscan(string(a.Payload), &got)
		switch {
		case got == next:
			next++
		case got < next:
			again++
		default:
			t.Fatalf("message %d came where %d was due", got, next)
		}
	}
	if next != n {
		t.Errorf("%d of %d messages came", next, n)
	}
	t.Logf("%d messages over two restarts, %d came twice", n, again)
	f.is(func(s State) bool { return !s.Down })
}

// numbers listens on the key's publish topic as somebody who is told of everything, restarts included, and counts numbered messages.
func (m *mosquitto) numbers(all int) (arrived func(n int) int) {
	m.t.Helper()
	var mu sync.Mutex
	came := make([]int, all)
	o := mqtt.NewClientOptions().AddBroker("tcp://" + m.address().Host).SetClientID("listener").SetUsername("service").SetPassword(serviceKey)
	o.SetProtocolVersion(4).SetCleanSession(false).SetMaxReconnectInterval(100 * time.Millisecond)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		var n int
		if _, err := fmt.Sscan(string(m.Payload()), &n); err == nil {
			mu.Lock()
			came[n]++
			mu.Unlock()
		}
	})
	c := mqtt.NewClient(o)
	if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		m.t.Fatal(token.Error())
	}
	m.t.Cleanup(func() { c.Disconnect(100) })
	if token := c.Subscribe(shedOwn, 1, nil); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		m.t.Fatal(token.Error())
	}
	return func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return came[n]
	}
}

func TestWhatWasAcknowledgedToAPageHasArrived(t *testing.T) {
	const all, senders = 10_000, 16
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	t.Cleanup(f.Need(shed()))
	f.up()
	arrived := m.numbers(all)
	var next, unsure atomic.Int32
	acknowledged := make([]atomic.Bool, all)
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for n := next.Add(1) - 1; n < all; n = next.Add(1) - 1 {
				for { // until the link is there: the page would be told that nothing was sent
					err := f.Publish(t.Context(), shedOwn, fmt.Append(nil, n), 1)
					if errors.Is(err, errLinkDown) {
						time.Sleep(5 * time.Millisecond)
						continue
					}
					acknowledged[n].Store(err == nil)
					if err != nil {
						unsure.Add(1)
					}
					break
				}
			}
		})
	}
	for _, at := range []int32{all / 3, 2 * all / 3} {
		for next.Load() < at {
			time.Sleep(time.Millisecond)
		}
		m.end(syscall.SIGTERM)
		m.start()
	}
	sending.Wait()
	lost := func() (n int) {
		for i := range acknowledged {
			if acknowledged[i].Load() && arrived(i) == 0 {
				n++
			}
		}
		return n
	}
	for until := time.Now().Add(20 * time.Second); lost() > 0 && time.Now().Before(until); {
		time.Sleep(5 * time.Millisecond)
	}
	if n := lost(); n > 0 {
		t.Errorf("%d messages were acknowledged and did not arrive", n)
	}
	t.Logf("%d messages over two restarts, of %d nobody knew whether they arrived", all, unsure.Load())
}

func TestAFrozenBrokerIsNoticed(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address(), func(c *UplinksConfig) {
		c.PingEvery, c.Silence = time.Second, 2200*time.Millisecond // a tenth of what they are
		c.ConnectIn = time.Second
	})
	t.Cleanup(f.Need(shed()))
	f.up()
	_ = m.cmd.Process.Signal(syscall.SIGSTOP)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := f.Publish(ctx, shedOwn, []byte("x"), 1)
	if unsure := (unsureError{}); !errors.As(err, &unsure) {
		t.Errorf("publishing to a frozen broker: %v after %v", err, time.Since(began))
	}
	f.is(func(s State) bool { return s.Down })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to notice", took)
	}
	_ = m.cmd.Process.Signal(syscall.SIGCONT)
	f.is(func(s State) bool { return !s.Down })
	f.up()
}

func TestASessionLingersAndIsThenForgotten(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address(), func(c *UplinksConfig) { c.Linger = 300 * time.Millisecond })
	first := f.Need(shed())
	f.up()
	first()
	first() // twice is once
	second := f.Need(shed())
	m.said(shedOurs+" (p2, c0", 1)
	if f.Stats().Links != 1 || strings.Count(m.log(), shedOurs+" (p2, c0") != 1 {
		t.Errorf("coming back at once made another connection:\n%s", m.log())
	}
	second()
	m.said(shedOurs+" (p2, c1", 1) // the goodbye that has the broker forget
	m.said("Client "+shedOurs+" disconnected", 2)
	if n := f.Stats().Links; n != 0 {
		t.Errorf("%d links are left", n)
	}
	t.Cleanup(f.Need(shed()))
	f.up()
}

func TestWhatIsNotSafeIsNotAcknowledged(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	t.Cleanup(f.Need(shed()))
	f.up()
	f.mu.Lock()
	f.fail = errors.New("the disk is full")
	f.mu.Unlock()
	service := m.service()
	for n := range 50 {
		send(t, service, shedHeard, fmt.Sprint(n), 1)
	}
	m.said("Sending PUBLISH to "+shedOurs, 1)
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(m.log(), "Received PUBACK from "+shedOurs) {
		t.Errorf("a message was acknowledged that is not safe")
	}
	again := newFront(t, m.address())
	t.Cleanup(again.Need(shed()))
	for n, a := range again.count(50)[:50] {
		if string(a.Payload) != fmt.Sprint(n) {
			t.Fatalf("message %d is %q", n, a.Payload)
		}
	}
}
