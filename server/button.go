package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
)

// Buttons are what people press on a board, and what was pressed; *history.Store keeps them.
type Buttons interface {
	Buttons(ctx context.Context, board string) ([]history.Button, error)
	FindButton(ctx context.Context, board, id string) (history.Button, error)
	AddButtons(ctx context.Context, board string, buttons ...history.Button) error
	ChangeButton(ctx context.Context, board string, b history.Button) error
	MoveButton(ctx context.Context, board, id string, up bool) error
	DropButton(ctx context.Context, board, id string) error

	BeginPress(ctx context.Context, p history.Press) (now history.Press, first bool, err error)
	MovePress(ctx context.Context, p history.Press, from, to history.PressState) (moved bool, err error)
	FindPress(ctx context.Context, board, id string) (p history.Press, there bool, err error)
	Presses(ctx context.Context, board string, limit int) ([]history.Press, error)
	LastAccepted(ctx context.Context, board string) ([]history.Press, error)
	AwaitedPresses(ctx context.Context, since time.Time, limit int) ([]history.Press, error)
}

// How risky it is to press a button by mistake.
const (
	riskPlain   = "plain"   // it is done at once
	riskConfirm = "confirm" // the person is asked first
	riskHold    = "hold"    // the button has to be held, or the person is asked
)

// noAnswer says that no answer to a press is awaited.
const noAnswer = "-"

// Bounds of one button.
const (
	maxLabel = 40      // letters
	maxData  = 4 << 10 // bytes
	maxName  = 120     // bytes of a device's or a reading's name
	maxUnit  = 12      // letters
	maxTimes = 1000    // presses in the time that the owner names
)

// errButton says what is wrong with a button that somebody wants to make, in a sentence.
type errButton string

func (e errButton) Error() string { return string(e) }

// boardOf names the board of whoever holds this Grant.
func boardOf(g access.Grant) string {
	if g.Subject.Entity == "" {
		return g.Subject.Account + ":" + g.Subject.Region
	}
	return g.Subject.String()
}

// owner is whoever may press and make buttons on his board.
func (s *Server) owner(c echo.Context) (access.Grant, error) {
	if err := s.limits.ask(c.RealIP()); err != nil {
		return access.Grant{}, err
	}
	g, err := s.grant(c.Request())
	if err == nil && len(g.Publish) == 0 {
		err = errOnlyShows
	}
	return g, err
}

// putButton makes a button, or changes the one that the form names.
func (s *Server) putButton(c echo.Context) error {
	return s.buttonChange(c, func(ctx context.Context, g access.Grant) error {
		b, err := readButton(c.FormValue, g)
		if err != nil {
			return err
		}
		if s.Front == nil && !mayBeNamed(b.Entity) {
			return errButton("No device can have this name, so a press could never arrive: names are made of letters from A to Z, digits, - and _, with : between their parts.")
		}
		if b.ID = c.FormValue("id"); b.ID == "" {
			b.ID = rand.Text()
			return s.Store.AddButtons(ctx, boardOf(g), b)
		}
		if b.Version, err = strconv.Atoi(c.FormValue("version")); err != nil {
			return history.ErrButtonChanged
		}
		return s.Store.ChangeButton(ctx, boardOf(g), b)
	})
}

// mayBeNamed says whether a key of this server can be of an entity of this name, or of its whole path. That there is none yet does not matter.
func mayBeNamed(entity string) bool {
	return entity != access.OperatorName && !slices.ContainsFunc(strings.Split(entity, ":"), func(part string) bool { return part != "" && !access.PlainName(part) })
}

func (s *Server) moveButton(c echo.Context) error {
	return s.buttonChange(c, func(ctx context.Context, g access.Grant) error {
		to := c.FormValue("to")
		if to != "up" && to != "down" {
			return errButton("Say whether the button goes up or down.")
		}
		return s.Store.MoveButton(ctx, boardOf(g), c.FormValue("id"), to == "up")
	})
}

func (s *Server) removeButton(c echo.Context) error {
	return s.buttonChange(c, func(ctx context.Context, g access.Grant) error {
		return s.Store.DropButton(ctx, boardOf(g), c.FormValue("id"))
	})
}

// buttonChange does what the owner of a board may do to it, and ends on the board.
func (s *Server) buttonChange(c echo.Context, do func(context.Context, access.Grant) error) error {
	g, err := s.owner(c)
	if err == nil {
		err = do(c.Request().Context(), g)
	}
	switch {
	case err != nil:
		return err
	case wantsJSON(c):
		return c.NoContent(http.StatusNoContent)
	}
	return c.Redirect(http.StatusSeeOther, "/#buttons")
}

// readButton reads the owner's form, and refuses a button that could not do what it says.
func readButton(form func(string) string, g access.Grant) (b history.Button, err error) {
	b.Label = strings.Join(strings.Fields(form("label")), " ")
	if b.Label == "" || utf8.RuneCountInString(b.Label) > maxLabel || !printable(b.Label) {
		return b, errButton("Give the button a name of 1 to 40 letters. It says what happens: Open the gate.")
	}
	b.Entity = strings.TrimPrefix(strings.TrimSpace(form("entity")), g.Subject.Account+":"+g.Subject.Region+":")
	if b.Entity == "" {
		b.Entity = g.Subject.Entity
	}
	if b.Entity == "" || len(b.Entity) > maxName || !printable(b.Entity) {
		return b, errButton("Say which device the button is for.")
	}
	if b.Number, err = readNumber(form); err != nil {
		return b, err
	}
	if b.Data, err = readData(form("data"), b.Number); err != nil {
		return b, err
	}
	b.Answer = strings.TrimSpace(form("answer"))
	if len(b.Answer) > maxName || !printable(b.Answer) {
		return b, errButton("The value that counts as the answer has a name that is too long.")
	}
	if err := readRisk(form, &b); err != nil {
		return b, err
	}
	if err := readOften(form, &b); err != nil {
		return b, err
	}
	return b, readHours(form, &b)
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// readNumber reads what a person may choose; nil is nothing.
func readNumber(form func(string) string) (*history.Number, error) {
	if form("number") != "yes" {
		return nil, nil
	}
	n := &history.Number{Name: strings.TrimSpace(form("name")), Unit: strings.TrimSpace(form("unit"))}
	if len(n.Name) > maxName || utf8.RuneCountInString(n.Unit) > maxUnit || !printable(n.Name) || !printable(n.Unit) {
		return nil, errButton("The number's name or unit is too long.")
	}
	for name, into := range map[string]*float64{"min": &n.Min, "max": &n.Max, "step": &n.Step, "start": &n.Start} {
		var err error
		if *into, err = readFloat(form(name)); err != nil {
			return nil, errButton("Say the smallest and the largest number, the step, and where it starts.")
		}
	}
	switch steps := (n.Max - n.Min) / n.Step; {
	case n.Step <= 0 || n.Min >= n.Max || steps < 1 || steps > 1e6:
		return nil, errButton("The largest number has to be above the smallest, by one step or more.")
	case !fits(n, &n.Start):
		return nil, errButton("The number that it starts with has to be one that may be chosen.")
	}
	return n, nil
}

// readFloat reads a number as people write it.
func readFloat(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.Replace(strings.TrimSpace(text), ",", ".", 1), 64)
	if err == nil && (math.IsNaN(v) || math.Abs(v) > 1e12) {
		err = errors.New("no number for people")
	}
	return v, err
}

// fits says whether v may be chosen, and makes it the exact step.
func fits(n *history.Number, v *float64) bool {
	steps := math.Round((*v - n.Min) / n.Step)
	exact := n.Min + steps*n.Step
	if math.Abs(exact-*v) > n.Step*1e-6 || *v < n.Min-n.Step*1e-6 || *v > n.Max+n.Step*1e-6 {
		return false
	}
	*v, _ = strconv.ParseFloat(strconv.FormatFloat(exact, 'g', 12, 64), 64) // 0.3 and not 0.30000000000000004
	return true
}

// readData reads what the device is told: JSON, or a word.
func readData(text string, n *history.Number) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case len(text) > maxData || !utf8.ValidString(text):
		return "", errButton("What the device is told is too long.")
	case text == "" && n == nil:
		return "", errButton("Say what the device is told: a word, or JSON.")
	case text == "":
		return "", nil
	}
	var small bytes.Buffer
	if json.Compact(&small, []byte(text)) != nil {
		if strings.ContainsAny(text[:1], "{[\"") {
			return "", errButton("What the device is told begins like JSON, and is none.")
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			return "", err
		}
		small.Reset()
		small.Write(quoted)
	}
	if n == nil {
		return small.String(), nil
	}
	var object map[string]json.RawMessage
	if n.Name == "" || json.Unmarshal(small.Bytes(), &object) != nil || object == nil {
		return "", errButton("With a number to choose, what the device is told is a JSON object, and the number needs a name in it. Leave it empty to send the number alone.")
	}
	return small.String(), nil
}

// mattersWords are those that somebody should not press in passing, in the forms in which labels and devices have them.
var mattersWords = regexp.MustCompile(`(?i)(^|[^\pL])(true|false|(power|turn|switch)?(on|off|on-?off)` +
	`|(open|clos|shut|unlock|lock|reset|reboot|restart|start|stop|eras|delet|clear|arm|disarm|toggl|power|releas|updat|switch|enabl|disabl)(e|ed|es|s|ing|ped|ping|ting)?)($|[^\pL])`)

// joints are where the words of a name such as turnOn or HTTPOpen meet.
var joints = regexp.MustCompile(`(\p{Ll})(\p{Lu})|(\p{Lu})(\p{Lu}\p{Ll})`)

// matters says whether a button switches something on or off, opens, unlocks or resets it.
func matters(b history.Button) bool {
	for _, text := range []string{b.Label, b.Data} {
		text = strings.ReplaceAll(text, "_", " ")
		if mattersWords.MatchString(text) || mattersWords.MatchString(joints.ReplaceAllString(text, "$1$3 $2$4")) {
			return true
		}
	}
	return false
}

// readRisk reads how careful people have to be. What matters is not done at once unless the owner has said that he knows.
func readRisk(form func(string) string, b *history.Button) error {
	b.Risk = form("risk")
	if !slices.Contains([]string{riskPlain, riskConfirm, riskHold}, b.Risk) {
		return errButton("Say whether it is done at once, after a question, or when the button is held.")
	}
	if b.Risk == riskPlain && matters(*b) && form("knowing") != "yes" {
		b.Risk = riskConfirm
	}
	b.Undo = b.Risk == riskPlain && form("undo") == "yes"
	return nil
}

func readOften(form func(string) string, b *history.Button) error {
	if strings.TrimSpace(form("most")) == "" {
		return nil
	}
	var err, other error
	b.Most, err = strconv.Atoi(strings.TrimSpace(form("most")))
	b.Per, other = strconv.Atoi(form("per"))
	if err != nil || other != nil || b.Most < 1 || b.Most > maxTimes || !slices.Contains([]int{60, 3600, 86400}, b.Per) {
		return errButton("Say how often it may be pressed as a whole number from 1 to 1000, in a minute, an hour or a day.")
	}
	return nil
}

func readHours(form func(string) string, b *history.Button) error {
	from, to := strings.TrimSpace(form("from")), strings.TrimSpace(form("to"))
	if from == "" && to == "" {
		return nil
	}
	begin, err := time.Parse("15:04", from)
	end, other := time.Parse("15:04", to)
	if err != nil || other != nil || begin.Equal(end) {
		return errButton("Say from when to when it may be pressed: 07:00 and 22:00. Leave both empty for always.")
	}
	b.From, b.To = begin.Hour()*60+begin.Minute(), end.Hour()*60+end.Minute()
	b.Zone = strings.TrimSpace(form("zone"))
	if b.Zone == "" {
		b.Zone = "UTC"
	}
	if _, err := time.LoadLocation(b.Zone); err != nil || b.Zone == "Local" || len(b.Zone) > maxName {
		return errButton("The hours need a time zone such as Europe/Berlin.")
	}
	return nil
}

// within says whether a button may be pressed at this moment: by the clock on the wall there, which may jump by an hour twice a year.
func within(b history.Button, at time.Time) bool {
	if b.From == b.To {
		return true
	}
	zone, err := time.LoadLocation(b.Zone)
	if err != nil {
		return false
	}
	wall := at.In(zone)
	minute := wall.Hour()*60 + wall.Minute()
	if b.From < b.To {
		return b.From <= minute && minute < b.To
	}
	return minute >= b.From || minute < b.To
}
