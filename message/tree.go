package message

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is one JSON value as far as readings look into it: members and items deeper than that are left out.
type node struct {
	leaf    any      // string, float64, bool or nil, when it is neither of the next two
	members []member // of an object, in the order in which they stand there
	items   []node   // of a list
	kind    byte     // 'o' object, 'l' list, 'v' leaf, 'x' not looked into
}

type member struct {
	key   string
	value node
}

// maxItems is the longest list that is looked into.
const maxItems = 64

// parseTree reads JSON down to so many objects and lists inside each other; false where it is not JSON.
func parseTree(data json.RawMessage, depth int) (node, bool) {
	if !json.Valid(data) {
		return node{}, false
	}
	s := scanner{data: data}
	return s.node(depth), true
}

// scanner reads what is known to be JSON. encoding/json reads it token by token too, and allocates several times for each: this is done
// for every message that comes.
type scanner struct {
	data []byte
	at   int
}

// next skips white space and gives the byte that follows, without taking it.
func (s *scanner) next() byte {
	for s.data[s.at] <= ' ' {
		s.at++
	}
	return s.data[s.at]
}

func (s *scanner) node(depth int) node {
	switch c := s.next(); {
	case c == '{' && depth > 0:
		return s.object(depth)
	case c == '[' && depth > 0:
		return s.list(depth)
	case c == '{' || c == '[':
		s.skip()
		return node{kind: 'x'}
	case c == '"':
		return node{kind: 'v', leaf: s.text()}
	case c == 't':
		s.at += len("true")
		return node{kind: 'v', leaf: true}
	case c == 'f':
		s.at += len("false")
		return node{kind: 'v', leaf: false}
	case c == 'n':
		s.at += len("null")
		return node{kind: 'v'}
	}
	number, err := strconv.ParseFloat(string(s.digits()), 64)
	if err != nil {
		return node{kind: 'x'} // 1e400: a number that no float holds must not end the reading of the rest
	}
	return node{kind: 'v', leaf: number}
}

func (s *scanner) digits() []byte {
	from := s.at
	for s.at < len(s.data) && strings.IndexByte("0123456789+-.eE", s.data[s.at]) >= 0 {
		s.at++
	}
	return s.data[from:s.at]
}

// text reads a string, of which nearly all stand there as they are.
func (s *scanner) text() string {
	quoted := s.quoted()
	if text, plain := plainText(quoted); plain {
		return text
	}
	var text string
	_ = json.Unmarshal(quoted, &text) // it is a string
	return text
}

// quoted takes a string as it stands there.
func (s *scanner) quoted() []byte {
	from := s.at
	for s.at++; s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
	return s.data[from:s.at]
}

// plainText takes the quotes off a JSON string that says everything as it is.
func plainText(quoted []byte) (string, bool) {
	if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
		return "", false
	}
	inner := quoted[1 : len(quoted)-1]
	for _, c := range inner {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return "", false
		}
	}
	return string(inner), true
}

// object keeps a key where it stood first, with its last value, and what looks like the number of a list's item before all others, as
// JSON.parse does.
func (s *scanner) object(depth int) node {
	n := node{kind: 'o'}
	keys := index{all: make([]string, 0, 4)}
	numbers := false
	s.at++
	for s.next() != '}' {
		if s.data[s.at] == ',' {
			s.at++
			s.next()
		}
		name := s.text()
		s.next() // the colon
		s.at++
		value := s.node(depth - 1)
		if i := keys.place(name); i >= 0 {
			n.members[i].value = value
			continue
		}
		keys.add(name)
		if n.members == nil {
			n.members = make([]member, 0, 4)
		}
		n.members = append(n.members, member{name, value})
		numbers = numbers || rank(name) != math.MaxUint32
	}
	s.at++
	if numbers {
		slices.SortStableFunc(n.members, func(a, b member) int { return cmp.Compare(rank(a.key), rank(b.key)) })
	}
	return n
}

// rank is where JavaScript puts a key: those that are numbers as it writes them itself come first.
func rank(key string) uint64 {
	if key == "" || key[0] < '0' || key[0] > '9' {
		return math.MaxUint32 // nearly always, and an error costs more than all the rest
	}
	n, err := strconv.ParseUint(key, 10, 32)
	if err != nil || n == math.MaxUint32 || strconv.FormatUint(n, 10) != key {
		return math.MaxUint32
	}
	return n
}

func (s *scanner) list(depth int) node {
	n := node{kind: 'l'}
	s.at++
	for s.next() != ']' {
		if s.data[s.at] == ',' {
			s.at++
		}
		item := s.node(depth - 1)
		if len(n.items) <= maxItems { // one more than is looked at shows that there are too many
			n.items = append(n.items, item)
		}
	}
	s.at++
	return n
}

// skip goes to the end of a list or object.
func (s *scanner) skip() {
	for open := 0; ; {
		switch s.data[s.at] {
		case '"':
			s.quoted()
			continue
		case '{', '[':
			open++
		case '}', ']':
			open--
		}
		if s.at++; open == 0 {
			return
		}
	}
}

// value takes whatever comes next as it stands there.
func (s *scanner) value() []byte {
	c, from := s.next(), s.at
	switch c {
	case '{', '[':
		s.skip()
	case '"':
		s.quoted()
	case 't', 'n':
		s.at += len("true")
	case 'f':
		s.at += len("false")
	default:
		s.digits()
	}
	return s.data[from:s.at]
}

// membersOf takes an object apart; nil where JSON is none.
func membersOf(data []byte) map[string]json.RawMessage {
	s := scanner{data: data}
	if s.next() != '{' {
		return nil
	}
	all := map[string]json.RawMessage{}
	s.at++
	for s.next() != '}' {
		if s.data[s.at] == ',' {
			s.at++
			s.next()
		}
		name := s.text()
		s.next() // the colon
		s.at++
		all[name] = s.value()
	}
	return all
}

// get finds a member by one of these names.
func (n node) get(names ...string) (node, bool) {
	for _, name := range names {
		for _, m := range n.members {
			if m.key == name {
				return m.value, true
			}
		}
	}
	return node{}, false
}

// leaves are the plain members by their names in small letters.
func (n node) leaves() map[string]any {
	all := make(map[string]any, len(n.members))
	for _, m := range n.members {
		if m.value.kind == 'v' {
			all[small(m.key)] = m.value.leaf
		}
	}
	return all
}

// text is the value of a leaf that is text.
func (n node) text() string {
	s, _ := n.leaf.(string)
	return s
}
