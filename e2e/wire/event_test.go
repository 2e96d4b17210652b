package wire

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

func FuzzPipeEvent(f *testing.F) {
	for _, seed := range []string{
		"id: 0\ndata: aGVsbG8=\n\n", "event: beat\ndata: {\"up\":1,\"down\":2,\"t\":3}\n\n", "event: end\ndata: {\"code\":4012}\n\n",
		"id: -1\ndata: \n\n", "id: 0\ndata: !\n\n", "data: x\n\n", "id: 5\ndata: aGVs", "<html>\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in := bufio.NewReader(strings.NewReader(text))
		for {
			e, err := ReadPipeEvent(in)
			switch {
			case err == nil && (e.Pos < 0 || (e.Kind != "" && e.Data != nil)):
				t.Fatalf("%q was read as %+v", text, e)
			case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrEvent):
				t.Fatalf("%q: %v", text, err)
			case err != nil:
				return
			}
		}
	})
}
