package mqttproxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trellis/access"
)

func TestSmallBytesShareTheirMemory(t *testing.T) {
	for name, sent := range map[string]bool{"kept only": false, "each sent by itself": true} {
		var r replay
		var lent []byte
		want := bytes.Repeat([]byte("0123456789"), 1000)
		for i := range want {
			r.keep(want[i : i+1])
			if sent {
				_, p, _ := r.frameAt(int64(i), 0, &lent)
				if p != nil {
					p.letGo()
				}
			}
		}
		if most := len(want)/(smallPiece/2) + 1; len(r.pieces) > most {
			t.Errorf("%s: %d bytes lie in %d pieces, want at most %d", name, len(want), len(r.pieces), most)
		}
		if got := r.appendTo(nil, 0, len(want)); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes are other ones", name, len(got))
		}
		if r.release(4321); !bytes.Equal(r.appendTo(nil, 4321, 100), want[4321:4421]) {
			t.Errorf("%s: after an acknowledgement other bytes come", name)
		}
	}
}

func TestAnEndedPipeCountsWhileItKeepsMuch(t *testing.T) {
	inLine(t, PipesConfig{PerAddress: 1}, func(t *testing.T, pipes *Pipes) {
		v := Visitor{Address: "192.0.2.0/24", Grant: access.Grant{KeyID: "k", Holder: "h"}}
		for _, keeps := range []int{0, lightly, 200 << 10} {
			p, refused := pipes.open(v)
			if refused != nil {
				t.Fatalf("before one that keeps %d bytes: %s", keeps, refused.reason)
			}
			if err := p.Send(make([]byte, keeps), time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			p.End(Protocol)
		}
		if _, refused := pipes.open(v); refused == nil || refused.code != TooManyOfAddress {
			t.Errorf("while much is kept: %+v", refused)
		}
		time.Sleep(time.Minute)
		if _, refused := pipes.open(v); refused != nil || pipes.buffered.Load() != 0 {
			t.Errorf("when it is forgotten: %+v, %d bytes are kept", refused, pipes.buffered.Load())
		}
	})
}

func TestSigningOutEndsPipesThatNobodyServesYet(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		mine, theirs := Visitor{Session: "mine"}, Visitor{Session: "theirs"}
		first, other := dialLine(t, pipes, mine), dialLine(t, pipes, theirs)
		first.join("", 0, true)
		other.join("", 0, true)
		late := dialLine(t, pipes, mine) // let in, and not joined yet
		synctest.Wait()
		pipes.EndSignIn("mine")
		late.join("", 0, true)
		synctest.Wait()
		for who, w := range map[string]*wired{"the page": first, "one on its way in": late} {
			if <-w.over; w.code != SignedOut.Code() {
				t.Errorf("%s was told %d", who, w.code)
			}
		}
		select {
		case <-other.over:
			t.Errorf("another sign-in was told %d", other.code)
		default:
		}
		other.close()
	})
}

func TestAPageThatClosedItsWebSocketIsNotWaitedForLong(t *testing.T) {
	inLine(t, PipesConfig{}, func(t *testing.T, pipes *Pipes) {
		w, p := opened(t, pipes)
		time.Sleep(time.Second)
		w.leave()
		synctest.Wait()
		time.Sleep(afterGoodbye - time.Second)
		if reason, over := p.ended(); over {
			t.Errorf("over at once: %v", reason)
		}
		time.Sleep(2 * time.Second)
		if reason, over := p.ended(); !over || reason != Idle {
			t.Errorf("over: %v, %v", over, reason)
		}
	})
}

func TestAStreamThatAlwaysHasSomethingIsOverInTimeToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := testPipes(PipesConfig{})
		c := &client{t: t, pipes: pipes}
		c.open()
		p := mustFind(t, pipes, c)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for ctx.Err() == nil {
				_ = p.Send(make([]byte, 100), time.Now().Add(time.Second))
				_, sent := p.positions()
				p.acknowledge(max(0, sent-10_000))
				p.heardNow()
				time.Sleep(10 * time.Millisecond)
			}
		}()
		w := httptest.NewRecorder()
		began := time.Now()
		pipes.Down(w, c.request("/", nil, headerPos, "0", headerMode, wayStream), c.visitor)
		if lasted := time.Since(began); lasted != 5*time.Minute {
			t.Errorf("it lasted %v", lasted)
		}
		if beats := strings.Count(w.Body.String(), "event: beat"); beats < 20 {
			t.Errorf("%d beats", beats)
		}
		cancel()
		<-stopped
		pipes.Close()
	})
}

func TestHalfARequestForBytesIsNotWaitedFor(t *testing.T) {
	pipes := testPipes(PipesConfig{})
	defer pipes.Close()
	c := &client{t: t, pipes: pipes}
	c.open()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pipes.Down(w, r, Visitor{}) }))
	s.Config.ReadTimeout = time.Second
	s.Start()
	defer s.Close()
	for _, mode := range []string{wayStream, wayPoll} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\n%s: %s\r\n%s: 0\r\n%s: %s\r\nContent-Length: 10\r\n\r\n",
			headerSession, c.id, headerPos, headerMode, mode)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v, %v", mode, answer, err)
		}
	}
}
