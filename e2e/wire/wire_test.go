package wire

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAMessageSurvivesItsPacket(t *testing.T) {
	for name, want := range map[string]Message{
		"QoS 0":           {Topic: "a/b", Payload: []byte("x")},
		"QoS 1, retained": {Topic: "a/b", Payload: []byte("x"), QoS: 1, Retain: true, ID: 513},
		"QoS 2, again":    {Topic: "a", Payload: []byte(strings.Repeat("y", 20_000)), QoS: 2, Dup: true, ID: 1},
	} {
		t.Run(name, func(t *testing.T) {
			packet, err := ReadPacket(bufio.NewReader(bytes.NewReader(want.Packet())))
			if err != nil {
				t.Fatal(err)
			}
			got, err := packet.Message()
			if err != nil || got.Topic != want.Topic || !bytes.Equal(got.Payload, want.Payload) ||
				got.QoS != want.QoS || got.ID != want.ID || got.Retain != want.Retain || got.Dup != want.Dup {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestASocketReadsAcrossFramesAndEndsWithTheCloseCode(t *testing.T) {
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = theirs.Write([]byte{0x82, 2, 0xd0, 0x00, 0x82, 1, 0xd0, 0x82, 1, 0x00})
		_, _ = theirs.Write([]byte{0x88, 6, 0x0f, 0xa3, 'g', 'o', 'n', 'e'})
	}()
	s := &Socket{Conn: ours, in: bufio.NewReader(ours)}
	in := bufio.NewReader(s)
	for range 2 {
		if p, err := ReadPacket(in); err != nil || p.Kind != PINGRESP {
			t.Fatalf("got %+v, %v", p, err)
		}
	}
	_, err := ReadPacket(in)
	var closed *CloseError
	if !errors.As(err, &closed) || closed.Code != 4003 || closed.Words != "gone" {
		t.Errorf("got %v", err)
	}
	<-done
	_, _ = ours.Close(), theirs.Close()
}

func TestAMessageMayComeInPieces(t *testing.T) {
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = theirs.Write([]byte{0x02, 2, 'a', 'b', 0x00, 0, 0x80, 1, 'c', 0x82, 1, 'd', 0x88, 2, 0x03, 0xe8})
	}()
	s := &Socket{Conn: ours, in: bufio.NewReader(ours)}
	for _, want := range []string{"abc", "d"} {
		if got, err := s.Message(); string(got) != want || err != nil {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	_, err := s.Message()
	var closed *CloseError
	if !errors.As(err, &closed) || closed.Code != 1000 {
		t.Errorf("got %v", err)
	}
	<-done
	_, _ = ours.Close(), theirs.Close()
}
