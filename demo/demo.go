// Package demo is a pretend greenhouse: four devices that behave like anybody's devices.
//
// Each is an ordinary MQTT client with a key of its own over a real socket, so what a page shows of them has come the
// whole way. Nothing here knows the rest of the program. Start at [Run].
package demo

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Login is the key of one device and what belongs to it.
type Login struct {
	Sub string // `account:region:entity`, also the client id
	JTI string // the user name
	Key string // the password
}

// topic gives one of the key's two topics.
func (l Login) topic(kind string) string {
	parts := strings.SplitN(l.Sub, ":", 3)
	return parts[0] + "/" + parts[1] + "/" + l.JTI + "/" + kind
}

// Config says where the greenhouse reports to. Broker and Logins are required.
type Config struct {
	Broker string           // host:port of an MQTT listener
	Logins map[string]Login // one for each of Names
	Log    *slog.Logger     // nil discards

	Every time.Duration    // how often the climate is reported; 0 means 3 s. The others follow from it
	Past  time.Duration    // for how long it has stood when it is first connected, and measured; 0 means that it is new
	Seed  uint64           // which greenhouse it is; 0 takes any
	Now   func() time.Time // nil means time.Now
}

// Names lists the devices, in the order in which a person would look at them.
func Names() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// Run keeps the greenhouse alive until ctx ends and returns when every device has said goodbye.
// A broker that is away is waited for; only a Config that can never work is an error.
func Run(ctx context.Context, c Config) error {
	c = c.withDefaults()
	house := &greenhouse{now: c.Now, world: newWorld(c.Seed, c.Now().Add(-c.Past))}
	stored := house.past()
	devices := make([]*device, len(kinds))
	for i, k := range kinds {
		login, ok := c.Logins[k.name]
		if !ok || strings.Count(login.Sub, ":") < 2 || login.JTI == "" {
			return fmt.Errorf("start the demo: no usable login for %s", k.name)
		}
		devices[i] = &device{kind: k, login: login, house: house, broker: c.Broker, rhythm: c.Every, stored: stored[i], log: c.Log.With("device", k.name)}
	}
	var running sync.WaitGroup
	for _, d := range devices {
		running.Go(func() { d.run(ctx) })
	}
	running.Wait()
	return nil
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Every == 0 {
		c.Every = 3 * time.Second
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// greenhouse is the one world that all devices stand in.
type greenhouse struct {
	now func() time.Time

	mu    sync.Mutex
	world *world // guarded by mu
}

// pastStep is how often devices measure while nothing takes what they have to say.
const pastStep = 15 * time.Minute

// past lives the greenhouse up to now. It gives what each kind of device has measured meanwhile and could tell nobody, as devices with a
// memory of their own do.
func (g *greenhouse) past() [][]measured {
	all, last := make([][]measured, len(kinds)), make([]*world, len(kinds))
	for at := g.world.at; at.Before(g.now().Add(-pastStep)); at = at.Add(pastStep) {
		g.world.advance(at)
		for i, k := range kinds {
			for _, one := range k.report(g.world, last[i]) {
				all[i] = append(all[i], measured{one, at})
			}
			now := *g.world
			last[i] = &now
		}
	}
	return all
}

// visit brings the world up to now and looks at it, or touches it.
func (g *greenhouse) visit(look func(*world)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.world.advance(g.now())
	look(g.world)
}
