package hostile

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// holds says how many bytes of an answer are held back; below 0 all of them.
func holds(bad Bad, r *http.Request, answer *http.Response) int {
	stream := strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream")
	if (bad.HoldOnly == "GET" && r.Method != http.MethodGet) || (bad.HoldOnly == "others" && stream) {
		return 0
	}
	return bad.Hold
}

// keep reads the answer to a poll and has it wait.
func keep(r *http.Request, bad Bad, answer io.Reader) (io.Reader, error) {
	if bad.Keep == 0 || r.Header.Get("X-Mode") != "poll" {
		return answer, nil
	}
	body, err := io.ReadAll(answer)
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(bad.Keep):
		return bytes.NewReader(body), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// pass copies an answer, flushing whatever comes, or holding it back.
func pass(w http.ResponseWriter, from io.Reader, hold int) {
	part := make([]byte, 32<<10)
	var held []byte
	for {
		n, err := from.Read(part)
		held = append(held, part[:n]...)
		if len(held) > 0 && (err != nil || (hold >= 0 && len(held) >= hold)) {
			if _, writing := w.Write(held); writing != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			held = held[:0]
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			panic(http.ErrAbortHandler) // cut off: the page must not take it for an end
		}
	}
}
