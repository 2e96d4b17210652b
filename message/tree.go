package message

import (
	"bytes"
	"encoding/json"
	"strings"
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
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // a number that no float holds must not end the reading of the rest
	tok, err := dec.Token()
	if err != nil {
		return node{}, false
	}
	return readNode(dec, tok, depth)
}

func readNode(dec *json.Decoder, tok json.Token, depth int) (node, bool) {
	switch tok {
	case json.Delim('{'):
		if depth > 0 {
			return readObject(dec, depth)
		}
		return node{kind: 'x'}, skip(dec)
	case json.Delim('['):
		if depth > 0 {
			return readList(dec, depth)
		}
		return node{kind: 'x'}, skip(dec)
	}
	if digits, is := tok.(json.Number); is {
		number, err := digits.Float64()
		if err != nil {
			return node{kind: 'x'}, true // 1e400
		}
		return node{kind: 'v', leaf: number}, true
	}
	return node{kind: 'v', leaf: tok}, true
}

// readObject keeps a key where it stood first, with its last value, as JSON.parse does.
func readObject(dec *json.Decoder, depth int) (node, bool) {
	n, at := node{kind: 'o'}, map[string]int{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return n, false
		}
		tok, err := dec.Token()
		if err != nil {
			return n, false
		}
		value, ok := readNode(dec, tok, depth-1)
		if !ok {
			return n, false
		}
		name := key.(string)
		if i, seen := at[name]; seen {
			n.members[i].value = value
			continue
		}
		at[name] = len(n.members)
		n.members = append(n.members, member{name, value})
	}
	_, err := dec.Token()
	return n, err == nil
}

func readList(dec *json.Decoder, depth int) (node, bool) {
	n := node{kind: 'l'}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return n, false
		}
		item, ok := readNode(dec, tok, depth-1)
		if !ok {
			return n, false
		}
		if len(n.items) <= maxItems { // one more than is looked at shows that there are too many
			n.items = append(n.items, item)
		}
	}
	_, err := dec.Token()
	return n, err == nil
}

// skip reads to the end of the list or object that has just been opened.
func skip(dec *json.Decoder) bool {
	for open := 1; open > 0; {
		tok, err := dec.Token()
		if err != nil {
			return false
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			open++
		case json.Delim('}'), json.Delim(']'):
			open--
		}
	}
	return true
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
			all[strings.ToLower(m.key)] = m.value.leaf
		}
	}
	return all
}

// text is the value of a leaf that is text.
func (n node) text() string {
	s, _ := n.leaf.(string)
	return s
}
