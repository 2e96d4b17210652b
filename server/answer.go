package server

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/mqttproxy"
	"trellis/templates"
)

// Bounds of what is awaited.
const (
	awaitFor    = time.Hour
	mostAwaited = 500
	mostOfBoard = 50 // so that nobody's presses push out everybody's
	maxAnswer   = 80 // letters
)

// presses knows whose answers are awaited, and who waits for news of a press.
type presses struct {
	now  func() time.Time
	came func(p history.Press, words string, at time.Time) // an answer, after its press was accepted

	waiting   atomic.Int32 // len(awaited): most messages meet none
	mu        sync.Mutex
	awaited   map[[2]string]*awaited               // by board and id
	followers map[[2]string]map[chan struct{}]bool // the same; each channel holds one piece of news
}

type awaited struct {
	press    history.Press
	hears    access.Grant
	accepted bool
	words    string    // the answer, if it came before the broker said that it has the press
	at       time.Time // when; zero: it has not
}

func newPresses(now func() time.Time) *presses {
	return &presses{now: now, awaited: map[[2]string]*awaited{}, followers: map[[2]string]map[chan struct{}]bool{}}
}

// follow gives a channel that has something in it when something has become of this press. Whoever calls leave is told no more.
func (s *presses) follow(p history.Press) (news <-chan struct{}, leave func()) {
	at, mine := [2]string{p.Board, p.ID}, make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.followers[at] == nil {
		s.followers[at] = map[chan struct{}]bool{}
	}
	s.followers[at][mine] = true
	return mine, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.followers[at], mine); len(s.followers[at]) == 0 {
			delete(s.followers, at)
		}
	}
}

// tell wakes those who follow this press, and nobody else: each of them asks the store what became of it.
func (s *presses) tell(p history.Press) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for follower := range s.followers[[2]string{p.Board, p.ID}] {
		select {
		case follower <- struct{}{}:
		default: // it has not looked yet at what it was told before
		}
	}
}

// await listens for the answer to a press that is about to be sent: it may come before the broker's own.
func (s *presses) await(p history.Press, hears access.Grant) {
	if p.Answers.Reading == noAnswer {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest, own, ofBoard := [2]string{}, [2]string{}, 0
	older := func(at [2]string, than *[2]string) {
		if was := s.awaited[*than]; was == nil || s.awaited[at].press.Pressed.Before(was.press.Pressed) {
			*than = at
		}
	}
	for at, a := range s.awaited {
		if s.now().Sub(a.press.Pressed) > awaitFor {
			delete(s.awaited, at)
			continue
		}
		older(at, &oldest)
		if at[0] == p.Board {
			older(at, &own)
			ofBoard++
		}
	}
	switch {
	case ofBoard >= mostOfBoard:
		delete(s.awaited, own)
	case len(s.awaited) >= mostAwaited:
		delete(s.awaited, oldest)
	}
	s.awaited[[2]string{p.Board, p.ID}] = &awaited{press: p, hears: hears}
	s.waiting.Store(int32(len(s.awaited)))
}

// accepted says that the press was noted as sent, and gives the answer if it has come.
func (s *presses) accepted(p history.Press) (words string, at time.Time, came bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.awaited[[2]string{p.Board, p.ID}]
	if a == nil {
		return "", at, false
	}
	if a.accepted, a.press = true, p; a.at.IsZero() {
		return "", at, false
	}
	s.drop(p)
	return a.words, a.at, true
}

func (s *presses) forget(p history.Press) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(p)
}

func (s *presses) drop(p history.Press) {
	delete(s.awaited, [2]string{p.Board, p.ID})
	s.waiting.Store(int32(len(s.awaited)))
}

// hear looks whether a message is the answer to a press. It runs inside the hub and never waits for anything slow.
func (s *presses) hear(m mqttproxy.Message) {
	if s.waiting.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.awaited {
		if !a.at.IsZero() || !a.hears.MayReceive(m.Topic) {
			continue
		}
		words, is := a.answeredBy(m)
		if !is {
			continue
		}
		if !a.accepted {
			a.words, a.at = words, s.now()
			continue
		}
		s.drop(a.press)
		s.came(a.press, words, s.now())
	}
}

// heardAnswer is what is looked at of a message.
type heardAnswer struct {
	Data    json.RawMessage
	Source  string
	Context struct{ About, Answers string }
}

// answeredBy says whether a message is the device's answer, and what it says.
func (a *awaited) answeredBy(m mqttproxy.Message) (words string, is bool) {
	reading := a.press.Answers.Reading
	if reading == "" && !bytes.Contains(m.Payload, []byte(a.press.ID)) {
		return "", false
	}
	if reading != "" && !hasPart(m.Parts, a.press.Entity, reading) {
		return "", false
	}
	var d heardAnswer
	if json.Unmarshal(m.Payload, &d) != nil || message.ByHand(d.Source, m.Payload) {
		return "", false // what a person sends is no device's word
	}
	if reading == "" {
		from := d.Source == a.press.Entity || strings.HasSuffix(d.Source, ":"+a.press.Entity) && strings.Count(d.Source, ":") == strings.Count(a.press.Entity, ":")+2
		return answerText(d.Data), from && d.Context.Answers == a.press.ID
	}
	for _, r := range message.Readings(d.Data) {
		if r.Name == reading {
			return amount(r, a.press.Answers.Unit), true
		}
	}
	return "", false
}

func hasPart(parts []string, entity, reading string) bool {
	for _, p := range parts {
		if p == entity+"\x00"+reading {
			return true
		}
	}
	return false
}

// answerText is what a device says in so many words, else the first value that it gives.
func answerText(data json.RawMessage) string {
	var said struct{ Answer string }
	if json.Unmarshal(data, &said) == nil && said.Answer != "" {
		return short(said.Answer)
	}
	var text string
	if json.Unmarshal(data, &text) == nil && text != "" {
		return short(text)
	}
	if all := message.Readings(data); len(all) > 0 {
		return amount(all[0], "")
	}
	return "done"
}

// amount is a value with its unit: that of the button where the reading's name has none.
func amount(r message.Reading, unit string) string {
	shown := message.Describe(r)
	if _, number := r.Value.(float64); number && shown.Unit == "" {
		shown.Unit = unit
	}
	return short(templates.WithUnit(shown.Value, shown.Unit))
}

func short(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if letters := []rune(text); len(letters) > maxAnswer {
		return string(letters[:maxAnswer-1]) + "…"
	}
	return text
}

// answered notes an answer. A press of which nobody knew whether it arrived has arrived, then.
func (s *Server) answered(ctx context.Context, p history.Press, words string, at time.Time) {
	p.Words, p.Heard = words, at
	if moved, err := s.move(ctx, p, history.PressAccepted, history.PressAnswered); err == nil && !moved {
		_, _ = s.move(ctx, p, history.PressUnsure, history.PressAnswered)
	}
}

// patience is how long a device usually takes until it is heard.
func (s *Server) patience(ctx context.Context, p history.Press, g access.Grant) time.Duration {
	values, err := s.Store.Values(ctx, g.MayReceive)
	if err != nil {
		return leastAwait
	}
	usual := leastAwait
	for _, v := range values {
		if v.About == p.Entity {
			usual = max(usual, s.rhythms.of(speaker{history.Speaker{Topic: v.Topic, About: v.About}, s.listens(g, v.Topic)}).Usual)
		}
	}
	return min(usual, mostAwait)
}

// resumePresses goes on waiting for the answers that were awaited when the last run ended.
func (s *Server) resumePresses() error {
	found, err := s.Store.AwaitedPresses(s.ctx, s.Now().Add(-awaitFor), mostAwaited)
	for _, p := range found {
		hears := access.Grant{Subscribe: p.Answers.Hears}
		s.presses.await(p, hears)
		s.presses.accepted(p)
	}
	return err
}
