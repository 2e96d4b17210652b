package hostile

import (
	"errors"
	"io"
	"net/http"
	"strings"
)

// holds says how many bytes of an answer are held back; below 0 all of them.
func holds(bad Bad, r *http.Request, answer *http.Response) int {
	stream := strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream")
	if (bad.HoldOnly == "GET" && r.Method != http.MethodGet) || (bad.HoldOnly == "others" && stream) {
		return 0
	}
	return bad.Hold
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
