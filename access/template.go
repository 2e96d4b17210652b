package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Template says which topics of a broker that knows nothing of Trellis are heard, and which of their levels name the entity that a
// message is about: `home/{entity}/state`, `sensors/{entity...}` for the rest of the topic, or a plain filter with + and #.
type Template struct {
	text   string
	levels []string // with + for {entity}, and # for what has the rest
	names  int      // the level that names the entity; without one the whole topic does, and it is -1
	rest   bool     // all levels from there name it
}

// Marks of a template.
const (
	entityLevel = "{entity}"
	entityRest  = "{entity...}"
)

// maxTopic is the longest topic that MQTT can write, in bytes.
const maxTopic = 65535

// maxNamed is the longest name that a topic can give an entity, in bytes.
const maxNamed = 256

// ParseTemplate reads one template for listening.
func ParseTemplate(text string) (Template, error) {
	t := Template{text: text, names: -1}
	if err := t.check(); err != nil {
		return Template{}, err
	}
	all := strings.Split(text, "/")
	for i, level := range all {
		last := i == len(all)-1
		switch {
		case level == entityLevel || level == entityRest:
			if t.names >= 0 {
				return Template{}, errors.New("names the entity twice")
			}
			t.names, t.rest = i, level == entityRest
			if t.rest && !last {
				return Template{}, errors.New(entityRest + " has the rest of the topic, so nothing can stand behind it")
			}
			level = "+"
			if t.rest {
				level = "#"
			}
		case strings.ContainsAny(level, "{}"):
			return Template{}, fmt.Errorf("the level %q: only %s or %s can stand there, as a whole level", level, entityLevel, entityRest)
		case level == "#" && !last:
			return Template{}, errors.New("# has the rest of the topic, so nothing can stand behind it")
		case len(level) > 1 && strings.ContainsAny(level, "+#"):
			return Template{}, fmt.Errorf("the level %q: + and # stand for whole levels", level)
		}
		t.levels = append(t.levels, level)
	}
	return t, nil
}

// check refuses what can be no topic, and what brokers or we ourselves take for something else.
func (t Template) check() error {
	first, _, _ := strings.Cut(t.text, "/")
	switch {
	case t.text == "":
		return errors.New("is empty")
	case len(t.text) > maxTopic || !utf8.ValidString(t.text) || strings.ContainsFunc(t.text, unicode.IsControl):
		return errors.New("is no topic: too long, or with signs that cannot be printed")
	case first == "$share" || first == "$queue" || first == "$exclusive":
		return errors.New("a shared subscription would take messages away from others")
	case first == "$trellis":
		return errors.New("$trellis is kept for this program's own pages")
	}
	return nil
}

// String is the template as it was written.
func (t Template) String() string { return t.text }

// Filter is what a broker is asked for.
func (t Template) Filter() string { return strings.Join(t.levels, "/") }

// Name says whom a topic of this template is about, and what is behind that name: `kitchen` and `air.temperature` for the topic
// home/kitchen/air/temperature of home/{entity}/#. A state at the end says nothing where more stands before it.
func (t Template) Name(topic string) (entity, reading string, ok bool) {
	if !Matches(t.Filter(), topic) {
		return "", "", false
	}
	levels := strings.Split(topic, "/")
	switch {
	case t.names < 0:
		entity = strings.Join(levels, ":")
	case t.names >= len(levels): // home/{entity...} and the topic home
		return "", "", false
	case t.rest:
		entity = strings.Join(levels[t.names:], ":")
	default:
		entity = levels[t.names]
		behind := levels[t.names+1:]
		if n := len(behind); n > 1 && behind[n-1] == "state" {
			behind = behind[:n-1]
		}
		reading = strings.Join(behind, ".")
	}
	if strings.Trim(entity, ":") == "" || len(entity) > maxNamed || !utf8.ValidString(entity) || strings.ContainsFunc(entity, unicode.IsControl) {
		return "", "", false
	}
	return entity, reading, true
}

// fill gives the filter of those topics alone that are about this entity; false if there are none.
func (t Template) fill(entity string) (string, bool) {
	levels := slices.Clone(t.levels)
	switch {
	case t.names < 0:
		topic := strings.ReplaceAll(entity, ":", "/")
		return topic, Matches(t.Filter(), topic)
	case t.rest:
		levels = append(levels[:t.names], strings.Split(entity, ":")...)
	default:
		levels[t.names] = entity
	}
	return strings.Join(levels, "/"), true
}

// Fill gives the one topic for this entity, where something is sent to. It refuses a name that would be more there than a name.
func (t Template) Fill(entity string) (topic string, err error) {
	if entity == "" || !utf8.ValidString(entity) || strings.ContainsAny(entity, "+#/") || strings.ContainsFunc(entity, unicode.IsControl) {
		return "", fmt.Errorf("%w: %.100q", ErrNotInTopic, entity)
	}
	topic, _ = t.fill(entity)
	if len(entity) > maxNamed || len(topic) > maxTopic || (strings.HasPrefix(topic, "$") && !strings.HasPrefix(t.text, "$")) {
		return "", fmt.Errorf("%w: %.100q", ErrNotInTopic, entity)
	}
	return topic, nil
}

// ErrNotInTopic says that a name would be more in a topic than a name, or too long for one.
var ErrNotInTopic = errors.New("the name cannot stand in a topic")

// ParseSendTemplate reads the template for sending: one topic for each entity.
func ParseSendTemplate(text string) (Template, error) {
	t, err := ParseTemplate(text)
	switch {
	case err != nil:
		return Template{}, err
	case t.names < 0:
		return Template{}, errors.New("should say with " + entityLevel + " where the name of the device goes")
	}
	for i, level := range t.levels {
		if i != t.names && (level == "+" || level == "#") {
			return Template{}, errors.New("nothing can be sent to + or #")
		}
	}
	return t, nil
}

// Templates are all that is listened to. The first that a topic belongs to names its entity.
type Templates []Template

// maxTemplates keeps what one page asks for within what a page may ask for.
const maxTemplates = 16

// ParseTemplates reads templates, and refuses those of which it is not clear whom a topic would be about.
func ParseTemplates(texts []string) (Templates, error) {
	var all Templates
	for _, text := range texts {
		t, err := ParseTemplate(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		for _, before := range all {
			if err := before.beside(t); err != nil {
				return nil, err
			}
		}
		all = append(all, t)
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("name at least one topic, such as home/{entity}/state")
	case len(all) > maxTemplates:
		return nil, fmt.Errorf("at most %d; use + or # for topics that are alike", maxTemplates)
	}
	return all, nil
}

// beside says why a later template cannot stand beside this one. Where a topic belongs to both they must name it alike, else
// whoever may see the one entity would see the other's; a later one that is exact for each entity can be checked topic by topic.
func (t Template) beside(later Template) error {
	alike := t.names == later.names && (t.rest == later.rest || len(t.levels) == len(later.levels))
	switch {
	case t.text == later.text || t.Filter() == later.Filter():
		return fmt.Errorf("%s is named twice", later)
	case alike || !overlap(t.levels, later.levels):
		return nil
	case covers(t.Filter(), later.Filter()) && later.beside(t) == nil:
		return fmt.Errorf("%s is never reached behind %s: put it before that", later, t)
	case covers(t.Filter(), later.Filter()):
		return fmt.Errorf("%s and %s can both mean the same topic, and name another entity by it", t, later)
	case !later.exact():
		return fmt.Errorf("%s and %s can both mean the same topic, and name another entity by it", t, later)
	}
	return nil
}

// exact says whether the template has one topic for each entity.
func (t Template) exact() bool {
	if t.names < 0 {
		return true
	}
	for i, level := range t.levels {
		if i != t.names && (level == "+" || level == "#") {
			return false
		}
	}
	return true
}

// overlap says whether some topic matches both.
func overlap(a, b []string) bool {
	for i := 0; ; i++ {
		switch {
		case i < len(a) && a[i] == "#", i < len(b) && b[i] == "#":
			return true
		case i >= len(a) || i >= len(b):
			return len(a) == len(b)
		case a[i] != b[i] && a[i] != "+" && b[i] != "+":
			return false
		}
	}
}

// Filters is what a broker is asked for: no filter that another one holds, since some brokers send a message once for each.
func (ts Templates) Filters() []string {
	var all []string
	for i, t := range ts {
		if !slices.ContainsFunc(ts, func(o Template) bool { return o.text != t.text && covers(o.Filter(), t.Filter()) }) {
			all = append(all, ts[i].Filter())
		}
	}
	return all
}

// Name says whom a topic is about; see [Template.Name].
func (ts Templates) Name(topic string) (entity, reading string, ok bool) {
	for _, t := range ts {
		if Matches(t.Filter(), topic) {
			return t.Name(topic)
		}
	}
	return "", "", false
}

// Of gives the filters of those topics that are about this entity and nobody else.
func (ts Templates) Of(entity string) []string {
	if !EntityName(entity) {
		return nil // it could be more in a topic than a name
	}
	var all []string
	for _, t := range ts {
		filter, some := t.fill(entity)
		if !some {
			continue
		}
		if first, _, ok := ts.Name(filter); t.exact() && (!ok || first != entity) {
			continue // an earlier one names this topic otherwise
		}
		all = append(all, filter)
	}
	return all
}
