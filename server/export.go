package server

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/message"
)

// errCutOff says that a file that somebody is taking cannot be finished.
var errCutOff = errors.New("the record could not be read to its end")

// How many files may be taken at once, since each reads the record for as long as its reader takes.
const (
	maxExports           = 8
	maxExportsPerHolder  = 2
	maxExportsPerAddress = 4
	exportAgain          = 10 * time.Second
)

// exporting counts the files that are being taken.
type exporting struct {
	mu  sync.Mutex
	all int
	by  map[string]int
}

// begin takes a place, or says when to come again.
func (e *exporting) begin(holder, address string) (end func(), err error) {
	holder, address = "holder "+holder, "address "+address
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all >= maxExports || e.by[holder] >= maxExportsPerHolder || e.by[address] >= maxExportsPerAddress {
		return nil, tooMany{after: exportAgain}
	}
	if e.by == nil {
		e.by = map[string]int{}
	}
	e.all++
	e.by[holder]++
	e.by[address]++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.all--
		for _, who := range []string{holder, address} {
			if e.by[who]--; e.by[who] == 0 {
				delete(e.by, who)
			}
		}
	}, nil
}

// exportOf is what is asked for.
type exportOf struct {
	history.WalkOf
	messages bool // whole messages; else the values of one reading
	lines    bool // JSON Lines; else CSV
}

func (s *Server) exportOf(c echo.Context) (of exportOf, err error) {
	of.About, of.Reading = c.QueryParam("entity"), c.QueryParam("reading")
	switch what := c.QueryParam("what"); what {
	case "", "readings":
	case "messages":
		of.messages, of.Reading = true, ""
	default:
		return of, errQuery("Say what as readings or messages.")
	}
	if of.About == "" || (!of.messages && of.Reading == "") {
		return of, errQuery("Say which entity and which reading.")
	}
	switch c.QueryParam("format") {
	case "", "csv":
	case "jsonl":
		of.lines = true
	default:
		return of, errQuery("Say format as csv or jsonl.")
	}
	if of.From, of.To, err = s.times(c, 0); err != nil {
		return of, err
	}
	if !of.From.IsZero() && !of.From.Before(of.To) {
		return of, errQuery("From must be before to.")
	}
	return of, nil
}

// historyExport gives what is recorded as a file, of any length.
func (s *Server) historyExport(who granter) echo.HandlerFunc {
	return func(c echo.Context) error {
		g, err := who(c)
		if err != nil {
			return err
		}
		of, err := s.exportOf(c)
		if err != nil {
			return err
		}
		end, err := s.exporting.begin(cmp.Or(g.KeyID, g.SignIn), network(c.RealIP()).String())
		if err != nil {
			s.limits.met("export")
			return err
		}
		defer end()
		return s.writeExport(c, g, of)
	}
}

func (s *Server) writeExport(c echo.Context, g access.Grant, of exportOf) error {
	h := c.Response().Header()
	kind, ending := "text/csv; charset=utf-8", ".csv"
	if of.lines {
		kind, ending = "application/jsonl", ".jsonl"
	}
	h.Set(echo.HeaderContentType, kind)
	h.Set(echo.HeaderContentDisposition, `attachment; filename="`+fileName(of)+ending+`"`)
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	out := bufio.NewWriterSize(&patient{to: c.Response(), control: http.NewResponseController(c.Response())}, exportChunk)
	file := newFile(out, of)
	err := file.head()
	if err == nil {
		err = s.walk(ctx, c, g, of, file)
	}
	if err = errors.Join(err, file.flush(), out.Flush()); err == nil {
		return nil
	}
	s.Log.Info("an export was cut off", "grant", g, "err", err)
	if of.lines && errors.Is(err, errCutOff) {
		_ = json.NewEncoder(out).Encode(map[string]string{"error": "Cut off: this file is not whole. Ask again from the last time in it."})
		if out.Flush() == nil {
			return nil
		}
	}
	panic(http.ErrAbortHandler) // a file that is not whole must not look like one: whoever takes it is told that it failed
}

// walk writes piece after piece, as long as the visitor may still see them.
func (s *Server) walk(ctx context.Context, c echo.Context, g access.Grant, of exportOf, file *file) error {
	_, held := s.Keys.Grant(g.KeyID)
	for {
		var piece history.Piece
		err := s.turns.take(ctx, g, func() (err error) { // for each piece: whoever takes a long file keeps nobody waiting
			piece, err = s.Past.Walk(ctx, g.MayReceive, of.WalkOf)
			return err
		})
		if err != nil {
			return fmt.Errorf("%w: %w", errCutOff, err)
		}
		for _, m := range piece.Messages {
			if err := file.add(m); err != nil {
				return err
			}
		}
		if piece.Next == 0 {
			return nil
		}
		of.After = piece.Next
		if err := s.still(c, g, held == nil); err != nil {
			return fmt.Errorf("%w: %w", errCutOff, err)
		}
	}
}

// still says whether a Grant holds that was good when a long answer began.
func (s *Server) still(c echo.Context, g access.Grant, held bool) error {
	if g.SignIn != "" {
		_, err := s.grant(c.Request())
		return err
	}
	if !held {
		return nil // a key of another service that nobody has signed in with: only that service knows more
	}
	now, err := s.Keys.Grant(g.KeyID)
	if err == nil && now.Print != g.Print {
		return access.ErrKeyRevoked
	}
	return err
}

const (
	exportChunk   = 64 << 10         // that is written at once
	exportPatient = 30 * time.Second // for each of them: a reader may be slow, but not stand still
)

// patient writes for as long as somebody reads. The server's own limits are for answers of usual length.
type patient struct {
	to      io.Writer
	control *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	until := time.Now().Add(exportPatient)
	// What is read meanwhile is only whether the reader has gone, and that has no limit: the next chunk may be long in coming.
	if err := errors.Join(p.control.SetWriteDeadline(until), p.control.SetReadDeadline(time.Time{})); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.to.Write(b)
}

var unsafeInName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// fileName is what the file is called; nothing that a device says may lead out of a folder or hide an ending.
func fileName(of exportOf) string {
	parts := []string{"trellis"}
	for _, part := range []string{of.About, of.Reading} {
		if part = strings.Trim(unsafeInName.ReplaceAllString(part, "-"), "-"); part != "" {
			parts = append(parts, part[:min(len(part), 40)])
		}
	}
	for _, at := range []time.Time{of.From, of.To} {
		if !at.IsZero() {
			parts = append(parts, at.UTC().Format("20060102T1504"))
		}
	}
	return strings.Join(parts, "-")
}

// file writes records as one of the formats.
type file struct {
	of  exportOf
	csv *csv.Writer
	out *json.Encoder
}

func newFile(to io.Writer, of exportOf) *file {
	f := &file{of: of}
	if of.lines {
		f.out = json.NewEncoder(to)
		f.out.SetEscapeHTML(false)
		return f
	}
	f.csv = csv.NewWriter(to)
	return f
}

func (f *file) head() error {
	switch {
	case f.of.lines:
		return nil
	case f.of.messages:
		return f.csv.Write([]string{"received", "topic", "by_hand", "message"})
	}
	return f.csv.Write([]string{"time", "received", "value"})
}

func (f *file) flush() error {
	if f.of.lines {
		return nil
	}
	f.csv.Flush()
	return f.csv.Error()
}

// add writes one message, or the value in it; of values only those that were measured.
func (f *file) add(m history.Record) error {
	received := m.Received.UTC().Format(time.RFC3339Nano)
	if f.of.messages {
		if f.of.lines {
			return f.out.Encode(messageAnswer{m.Topic, m.Received.UTC(), m.ByHand, delivered(m.Payload)})
		}
		return f.csv.Write([]string{received, cell(m.Topic), strconv.FormatBool(m.ByHand), cell(string(m.Payload))})
	}
	if m.ByHand {
		return nil
	}
	at, readings := message.Delivered(m.Payload)
	i := slices.IndexFunc(readings, func(r message.Reading) bool { return r.Name == f.of.Reading })
	if i < 0 {
		return nil
	}
	if at.IsZero() {
		at = m.Received
	}
	if f.of.lines {
		return f.out.Encode(valueLine{at.UTC(), m.Received.UTC(), finite(readings[i].Value)})
	}
	return f.csv.Write([]string{at.UTC().Format(time.RFC3339Nano), received, cell(plainValue(readings[i].Value))})
}

// valueLine is one line of JSON Lines.
type valueLine struct {
	Time     time.Time `json:"time"`
	Received time.Time `json:"received"`
	Value    any       `json:"value"`
}

// finite leaves out a number that JSON cannot say.
func finite(v any) any {
	if number, is := v.(float64); is && (math.IsNaN(number) || math.IsInf(number, 0)) {
		return nil
	}
	return v
}

func plainValue(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	text, _ := v.(string)
	return text
}

var writtenNumber = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// laterFormula is what begins like a formula where a spreadsheet of another language begins a cell or a row: it splits at ; or at a tab, and
// takes no quotes in the middle of a line for any.
var laterFormula = regexp.MustCompile(`([;\t\r\n][\s\pZ"']*)([=+@|%＝＋－＠-][^;\t\r\n]*)`)

// cell defuses what a spreadsheet would take for a formula: what begins like one and is no number gets a ' in front, which spreadsheets
// read as "this is text".
func cell(text string) string {
	if strings.ContainsAny(text, ";\t\r\n") {
		text = laterFormula.ReplaceAllStringFunc(text, func(found string) string {
			parts := laterFormula.FindStringSubmatch(found)
			if writtenNumber.MatchString(strings.TrimSpace(parts[2])) {
				return found
			}
			return parts[1] + "'" + parts[2]
		})
	}
	if strings.IndexAny(text, "=+-@\t\r\n|%＝＋－＠") == 0 && !writtenNumber.MatchString(text) { // the wide ones count in some languages
		return "'" + text
	}
	return text
}
