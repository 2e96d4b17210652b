package server

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/templates"
)

// What can be wrong with a change.
var (
	errNotHeard      = errors.New("a setting is about what this board does not show")
	errChange        = errors.New("a change was sent that is none of those there are")
	errSettingName   = errors.New("the name has a form that is not taken")
	errSettingUnit   = errors.New("the unit has a form that is not taken")
	errSettingDigits = errors.New("digits is no number of digits")
	errSettingLimit  = errors.New("a limit is no number")
	errSettingLimits = errors.New("the lower limit is not below the upper one")
	errSettingWord   = errors.New("a word was given a unit, digits or limits")
)

const (
	maxSettingName = 60 // letters
	maxSettingUnit = 16
	maxDigits      = 6
	ownUnit        = "=" // stands in the list of units for what is typed beside it
)

// settings gives what is set on the visitor's board.
func (s *Server) settings(c echo.Context) error {
	g, err := s.byCookie(c)
	if err != nil {
		return err
	}
	values, err := s.Store.Values(c.Request().Context(), g.MayReceive)
	if err != nil {
		return err
	}
	return s.answerSettings(c, g, values, "")
}

// answerSettings gives what is set, and how a change ended; empty where nothing was to be changed.
func (s *Server) answerSettings(c echo.Context, g access.Grant, heard []history.Value, ended string) error {
	w, err := s.wishes(c.Request().Context(), g)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"settings": w.answer(heard), "said": templates.ChangeWords(ended)})
}

// changeSettings changes one thing on the visitor's board: what a form names and nothing else. A form of a page without scripts
// sends all its fields, and beside each what it was when the page was printed.
func (s *Server) changeSettings(c echo.Context) error {
	g, err := s.byCookie(c)
	if err != nil {
		return err
	}
	if err := c.Request().ParseForm(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	values, err := s.Store.Values(ctx, g.MayReceive)
	if err != nil {
		return err
	}
	change := change{form: c.Request().PostForm, heard: values}
	change.what = thing{change.form.Get("entity"), change.form.Get("reading")}
	ended, err := s.change(ctx, g, change)
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return s.answerSettings(c, g, values, ended)
	}
	if change.form.Get("back") == "board" {
		return c.Redirect(http.StatusSeeOther, "/#values")
	}
	// The forms are there again, for whoever changes more than one thing; "Done" leads to the plain address.
	return c.Redirect(http.StatusSeeOther, "/?change="+ended+"#"+url.PathEscape(change.place()))
}

// change is what somebody asks for.
type change struct {
	form  url.Values
	heard []history.Value
	what  thing
}

// place is where somebody goes on: at the card that was changed, or at its device where the card is not seen any more.
func (a change) place() string {
	if a.what.reading == "" || a.form.Get("do") == "hide" {
		return templates.PlaceOf(a.what.entity, "")
	}
	return templates.PlaceOf(a.what.entity, a.what.reading)
}

// change does what is asked for, and says how it ended.
func (s *Server) change(ctx context.Context, g access.Grant, asked change) (ended string, err error) {
	w, err := s.wishes(ctx, g)
	if err != nil {
		return "", err
	}
	all, err := asked.settings(w)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return asked.unmoved(), nil
	}
	for i := range all {
		all[i].Board = g.Subject.String()
	}
	return templates.ChangeSaved, s.Store.PutSettings(ctx, all)
}

// unmoved is how a change ended that had nothing to change: whoever moves what is at the end already should hear that.
func (a change) unmoved() string {
	switch a.form.Get("do") {
	case "up":
		return templates.ChangeFirst
	case "down":
		return templates.ChangeLast
	}
	return templates.ChangeSaved
}

// settings are what a change comes to.
func (a change) settings(w wishes) ([]history.Setting, error) {
	do := a.form.Get("do")
	if do == "order" {
		return w.unplaced(), nil
	}
	if !a.isHeard() {
		return nil, errNotHeard
	}
	switch do {
	case "change":
		return a.fields(w)
	case "hide":
		return []history.Setting{a.setting(history.SettingHidden, "yes")}, nil
	case "show":
		return []history.Setting{w.cleared(a.what, history.SettingHidden)}, nil
	case "up":
		return a.moved(w, -1), nil
	case "down":
		return a.moved(w, 1), nil
	case "reset":
		return w.forgotten(a.what), nil
	}
	return nil, errChange
}

func (a change) moved(w wishes, by int) []history.Setting {
	if a.what.reading == "" {
		return w.moved(a.what, by, w.inOrder(a.heard))
	}
	return w.moved(a.what, by, w.siblings(a.what, a.heard))
}

func (a change) isHeard() bool {
	return slices.ContainsFunc(a.heard, func(v history.Value) bool {
		return a.what.entity != "" && v.About == a.what.entity && (a.what.reading == "" || v.Reading == a.what.reading)
	})
}

func (a change) setting(field history.SettingField, value string) history.Setting {
	return history.Setting{Entity: a.what.entity, Reading: a.what.reading, Field: field, Value: value}
}

// fields are those of the form that are new.
func (a change) fields(w wishes) ([]history.Setting, error) {
	as, sent, measured := w.of(a.what), "", false
	for _, v := range a.heard {
		if v.About == a.what.entity && v.Reading == a.what.reading {
			sent, measured = message.SentIn(message.Reading{Name: v.Reading, Value: v.Value})
		}
	}
	var all []history.Setting
	for _, field := range []history.SettingField{history.SettingName, history.SettingUnit, history.SettingDigits, history.SettingLow, history.SettingHigh} {
		text, given := a.given(field)
		if !given {
			continue
		}
		value, err := a.valueOf(field, text, sent)
		if err == nil && !measured && field != history.SettingName {
			err = errSettingWord
		}
		if err != nil {
			return nil, err
		}
		one := a.setting(field, value)
		if value == "" {
			one = w.cleared(a.what, field)
		}
		all = append(all, one)
		as.set(field, value)
	}
	if as.Low != nil && as.High != nil && *as.Low >= *as.High {
		return nil, errSettingLimits
	}
	return all, nil
}

// given is what the form says of a field, unless that is what it was.
func (a change) given(field history.SettingField) (text string, given bool) {
	name := string(field)
	if !a.form.Has(name) {
		return "", false
	}
	text = strings.Join(strings.Fields(a.form.Get(name)), " ")
	if field == history.SettingUnit && text == ownUnit {
		text = strings.Join(strings.Fields(a.form.Get("unit_own")), " ")
	}
	return text, !a.form.Has("was_"+name) || a.form.Get("was_"+name) != text
}

// plainNumber is a number as a field for numbers sends it.
var plainNumber = regexp.MustCompile(`^[-\x{2212}]?[0-9]{1,15}(\.[0-9]{1,12})?(e[+-]?[0-9]{1,2})?$`)

// valueOf gives a field's value as it is kept; empty is none.
func (a change) valueOf(field history.SettingField, text, sent string) (string, error) {
	switch {
	case text == "":
		return "", nil
	case field == history.SettingName && !oneLine(text, maxSettingName):
		return "", errSettingName
	case field == history.SettingUnit && !oneLine(text, maxSettingUnit):
		return "", errSettingUnit
	case field == history.SettingDigits:
		if n, err := strconv.Atoi(text); err != nil || n < 0 || n > maxDigits || len(text) > 1 {
			return "", errSettingDigits
		}
	case field == history.SettingLow || field == history.SettingHigh:
		return limitSent(text, a.form.Get("in"), sent)
	}
	return text, nil
}

// limitSent says a limit in the unit that the device sends; in is the unit that it was typed in.
func limitSent(text, in, sent string) (string, error) {
	if !plainNumber.MatchString(text) {
		return "", errSettingLimit
	}
	v, err := strconv.ParseFloat(strings.Replace(text, "\u2212", "-", 1), 64)
	if err != nil {
		return "", errSettingLimit
	}
	if of, known := message.Convert(v, in, sent); known && in != "" {
		v = of
	}
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return "", errSettingLimit
	}
	return strconv.FormatFloat(v, 'g', -1, 64), nil
}

// oneLine says whether a text can be shown in one line, and is no longer than so many letters.
func oneLine(text string, most int) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= most &&
		!strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsGraphic(c) })
}

// cleared takes a setting back; where the board above has one, it is said that this one has not.
func (w wishes) cleared(t thing, field history.SettingField) history.Setting {
	_, above := w.above[t][field]
	return history.Setting{Entity: t.entity, Reading: t.reading, Field: field, Gone: !above}
}

// forgotten takes all back that this board has set about a thing, but its place.
func (w wishes) forgotten(t thing) (all []history.Setting) {
	for field := range w.own[t] {
		if field != history.SettingPlace {
			all = append(all, history.Setting{Entity: t.entity, Reading: t.reading, Field: field, Gone: true})
		}
	}
	return all
}

// unplaced takes back the order that this board has set.
func (w wishes) unplaced() (all []history.Setting) {
	for t, own := range w.own {
		if _, placed := own[history.SettingPlace]; placed {
			all = append(all, history.Setting{Entity: t.entity, Reading: t.reading, Field: history.SettingPlace, Gone: true})
		}
	}
	slices.SortFunc(all, func(a, b history.Setting) int {
		return cmp.Or(cmp.Compare(a.Entity, b.Entity), cmp.Compare(a.Reading, b.Reading))
	})
	return all
}
