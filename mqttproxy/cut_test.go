package mqttproxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"trellis/access"
)

// noted is a carrier that notes what the hub sends.
type noted struct {
	Carrier
	sent []byte
}

func (n *noted) JudgesSilence() {}

func (n *noted) Send(p []byte, by time.Time) error {
	n.sent = append(n.sent, p...)
	return n.Carrier.Send(p, by)
}

// served gives pipes whose sessions a hub serves, and notes what it sends on the last one.
func served(h *Hub, config PipesConfig) (*Pipes, *noted) {
	last := &noted{}
	config.Serve = func(c Carrier, g access.Grant) bool {
		last.Carrier = c
		go h.Serve(context.Background(), last, g)
		return true
	}
	return NewPipes(config), last
}

// conversation is what a page sends, and how many bytes it gets for that.
func conversation() (up []byte, down int) {
	up = slices.Concat(connectPacket(0), subscribePacket(1, 0, "acme/local/+/publish"), subscribePacket(2, 1, "acme/local/k1/messages"),
		publishPacket("acme/local/k1/publish", "up at 0", 0, 0), publishPacket("acme/local/k1/publish", "up at 1", 1, 3),
		[]byte{typePuback << 4, 2, 0, 1, typePingreq << 4, 0})
	kept := publishPacket("acme/local/x/publish", "kept", 0, 0)
	at1 := publishPacket("acme/local/k1/messages", "down at 1", 1, 1)
	return up, 4 + 5 + len(kept) + 5 + len(at1) + 4 + 2
}

// talk holds the conversation on a pipe and gives what came down. Uploads are made of this many bytes.
func talk(c *client, mode string, source *fakeSource, cut int, upTo int) []byte {
	up, want := conversation()
	head := len(up) - 6 // the acknowledgement may only go when its message is on the way
	half := min(upTo, head)
	if status, _ := c.up(0, io.MultiReader(bytes.NewReader(up[:half]), failing{})); status != http.StatusBadRequest {
		c.t.Fatalf("half an upload was answered %d", status)
	}
	if half > 0 {
		if status, a := c.up(0, bytes.NewReader(up[:half])); status != 200 || a.Up != int64(half) {
			c.t.Fatalf("upload of %d: %d %+v", half, status, a)
		}
	}
	c.up(0, bytes.NewReader(up[:head])) // the part that is known comes once more
	synctest.Wait()
	source.deliver(Message{Topic: "acme/local/k1/messages", Payload: []byte("down at 1")})
	synctest.Wait()
	c.up(head, bytes.NewReader(up[head:]))
	c.up(head, bytes.NewReader(up[head:]))
	synctest.Wait()
	if cut > 0 {
		c.down(mode, cut, -1)
	}
	for len(c.got) < want {
		c.down(mode, 1<<20, want)
	}
	return c.got
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A conversation that is cut anywhere, in either direction, is the same conversation.
func TestCutAtEveryByte(t *testing.T) {
	for _, mode := range []string{"stream", "poll"} {
		t.Run(mode, func(t *testing.T) {
			up, _ := conversation()
			for cut := 0; cut < 460; cut++ {
				synctest.Test(t, func(t *testing.T) {
					source := &fakeSource{}
					h := NewHub(Config{Source: source})
					h.Seed([]Message{{Topic: "acme/local/x/publish", Payload: []byte("kept"), Parts: []string{"x"}}})
					h.Start()
					pipes, hub := served(h, PipesConfig{})
					c := &client{t: t, pipes: pipes, visitor: Visitor{Grant: testGrant()}}
					c.open()
					got := talk(c, mode, source, cut, cut%len(up))
					if !bytes.Equal(got, hub.sent) {
						t.Errorf("cut at %d: got % x, want % x", cut, got, hub.sent)
					}
					if n := len(source.taken); n != 2 {
						t.Errorf("cut at %d: the source took %d messages, want 2", cut, n)
					}
					_ = h.Close(context.Background())
					pipes.Close()
				})
			}
		})
	}
}
