package mqttproxy

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// playClients is the other process of a load test: "ADDRESS COUNT CARRIER". It opens COUNT sessions that subscribe, prints
// "ready", and then prints ten times a second how many messages came in all. It ends when its input does.
func playClients(role string) {
	var address, carrier string
	var count int
	if _, err := fmt.Sscan(role, &address, &count, &carrier); err != nil {
		panic(err)
	}
	play := map[string]func(address string, n int, received *atomic.Uint64, ready func()){
		"mqtt": playSocket, "socket": playLine, "stream": playRequests("stream"), "poll": playRequests("poll"),
	}[carrier]
	var received atomic.Uint64
	var ready sync.WaitGroup
	for i := range count {
		ready.Add(1)
		go play(address, i, &received, ready.Done)
		if i%50 == 49 {
			ready.Wait()
		}
	}
	ready.Wait()
	fmt.Println("ready")
	go func() {
		for range time.Tick(100 * time.Millisecond) {
			fmt.Println(received.Load())
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// firstPackets are what a page begins with.
func firstPackets(n int) []byte {
	hello := appendString([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0}, fmt.Sprintf("load-%06d", n))
	return append(append(appendHead(nil, 0x10, len(hello)), hello...), subscribePacket(1, 0, "acme/local/+/publish")...)
}

func upgrade(address, subprotocol string) (net.Conn, *bufio.Reader) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(conn, "GET /live HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", address, address, subprotocol)
	r := bufio.NewReaderSize(conn, 32<<10)
	for line := ""; line != "\r\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			panic(err)
		}
	}
	return conn, r
}

// playSocket speaks MQTT over WebSocket.
func playSocket(address string, n int, received *atomic.Uint64, ready func()) {
	conn, r := upgrade(address, "mqtt")
	_, _ = conn.Write(masked(firstPackets(n)))
	countMessages(&frames{r: r}, received, ready)
}

// playLine speaks it over the frames of a pipe, and acknowledges as a page does.
func playLine(address string, n int, received *atomic.Uint64, ready func()) {
	conn, r := upgrade(address, PipeSubprotocol)
	_, _ = conn.Write(masked([]byte("\x01" + `{"id":"","have":0,"take":true}`)))
	_, _ = conn.Write(masked(append(append([]byte{frameData}, make([]byte, 16)...), firstPackets(n)...)))
	say := func(kind byte, have int64) {
		_, _ = conn.Write(masked(binary.BigEndian.AppendUint64([]byte{kind}, uint64(have))))
	}
	f := &frames{r: r}
	var told, had int64
	f.head = func(left int) int {
		var head [dataHead]byte
		_, _ = io.ReadFull(r, head[:1])
		if head[0] != frameBytes {
			_, _ = r.Discard(left - 1)
			return 0
		}
		_, _ = io.ReadFull(r, head[1:])
		if had-told >= 32<<10 {
			told = had
			say(frameAck, had)
		}
		had += int64(left - dataHead)
		return left - dataHead
	}
	go func() {
		for range time.Tick(15 * time.Second) {
			say(framePing, 0)
		}
	}()
	countMessages(f, received, func() { say(frameAck, 4+5); ready() })
}

// playRequests speaks it over requests. It is there to be idle: it notices the answers to the first packets only.
func playRequests(mode string) func(address string, n int, received *atomic.Uint64, ready func()) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1 << 16}
	return func(address string, n int, _ *atomic.Uint64, ready func()) {
		id := ""
		have := 0
		post := func(path string, body []byte) *http.Response {
			r, _ := http.NewRequest(http.MethodPost, "http://"+address+"/live/"+path, bytes.NewReader(body))
			for name, value := range map[string]string{"Origin": "http://" + address, headerSession: id, headerMode: mode} {
				r.Header.Set(name, value)
			}
			r.Header.Set(headerPos, strconv.Itoa(have))
			if path == "up" {
				r.Header.Set(headerAck, strconv.Itoa(have))
				r.Header.Set(headerPos, "0")
			}
			answer, err := transport.RoundTrip(r)
			if err != nil || answer.StatusCode != http.StatusOK {
				panic(fmt.Sprint(path, " ", answer, " ", err))
			}
			return answer
		}
		var opened answer
		first := post("open", nil)
		_ = json.NewDecoder(first.Body).Decode(&opened)
		_ = first.Body.Close()
		id = opened.ID
		_ = post("up", firstPackets(n)).Body.Close()
		for {
			down := post("down", nil)
			lines := bufio.NewScanner(down.Body)
			for data := false; lines.Scan(); {
				if text, is := strings.CutPrefix(lines.Text(), "data: "); is && data {
					b, _ := base64.StdEncoding.DecodeString(text)
					if have += len(b); have == 4+5 {
						_ = post("up", nil).Body.Close()
						ready()
					}
				}
				data = strings.HasPrefix(lines.Text(), "id: ")
			}
			_ = down.Body.Close()
		}
	}
}

// countMessages reads frames without unpacking them into memory: it follows the packets' lengths only.
func countMessages(body *frames, received *atomic.Uint64, ready func()) {
	for {
		first, err := body.ReadByte()
		if err != nil {
			return
		}
		remaining, err := binary.ReadUvarint(body)
		if err != nil {
			return
		}
		if err := body.skip(int(remaining)); err != nil {
			return
		}
		switch first >> 4 {
		case typeSuback:
			ready()
		case typePublish:
			received.Add(1)
		}
	}
}

// frames gives the payload of binary frames as one stream.
type frames struct {
	r    *bufio.Reader
	left int
	head func(left int) int // takes what stands before the payload, and says what is left; nil when nothing does
}

func (f *frames) ReadByte() (byte, error) {
	for f.left == 0 {
		var head [10]byte
		if _, err := io.ReadFull(f.r, head[:2]); err != nil {
			return 0, err
		}
		switch f.left = int(head[1] & 0x7f); f.left {
		case 126:
			_, _ = io.ReadFull(f.r, head[:2])
			f.left = int(binary.BigEndian.Uint16(head[:2]))
		case 127:
			_, _ = io.ReadFull(f.r, head[:8])
			f.left = int(binary.BigEndian.Uint64(head[:8]))
		}
		if f.head != nil {
			f.left = f.head(f.left)
		}
	}
	f.left--
	return f.r.ReadByte()
}

func (f *frames) skip(n int) error {
	for n > 0 {
		if f.left == 0 {
			if _, err := f.ReadByte(); err != nil {
				return err
			}
			n--
			continue
		}
		step, err := f.r.Discard(min(n, f.left))
		if err != nil {
			return err
		}
		n, f.left = n-step, f.left-step
	}
	return nil
}

// masked makes one binary frame as a client sends it, with the mask 0.
func masked(p []byte) []byte {
	b := []byte{0x82}
	switch {
	case len(p) < 126:
		b = append(b, 0x80|byte(len(p)))
	case len(p) <= 65535:
		b = append(b, 0x80|126, byte(len(p)>>8), byte(len(p)))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(len(p)))
	}
	return append(append(b, 0, 0, 0, 0), p...)
}
