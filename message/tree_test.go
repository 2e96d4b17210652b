package message

import (
	"bytes"
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// What is read here is what encoding/json reads.
func FuzzTree(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":[true,false,null,{"c":"d"}],"2":0,"1":0}`, ` [ 1 , -0.5e+3 , [ ] , { } , "" ] `, `{"a":{"b":{"c":{"d":{"e":{"f":[1,"]}"]}}}}}}`, `"\\\"\u00e4\ud800x"`,
		"\"\xff\"", `"ä"`, `{"a":1,"a":2,"\u0061":3}`, `1e400`, `-0`, `{"":{}}`, `{"a":1`, `{"a" 1}`, `[1,]`, `nul`, ``, " ", `1 2`,
		"{" + strings.Repeat(`"k":1,`, 20) + `"k":2}`, `{"4294967295":1,"4294967294":2,"01":3,"9":4}`, "[" + strings.Repeat("1,", 70) + "1]",
		`{"a0":0,"a1":1,"a2":2,"a3":3,"a4":4,"a5":5,"a6":6,"a7":7,"a8":8,"a9":9,"b0":0,"b1":1,"b2":2,"b3":3,"b4":4,"b5":5,"b6":6,"a0":7,"b6":8,"b5":9}`,
	} {
		f.Add([]byte(seed), 5)
	}
	f.Fuzz(func(t *testing.T, data []byte, depth int) {
		depth = max(0, min(depth, 8))
		got, ok := parseTree(data, depth)
		if ok != json.Valid(data) {
			t.Fatalf("%q is taken for JSON, or is not", data)
		}
		if !ok {
			return
		}
		var members map[string]json.RawMessage
		_ = json.Unmarshal(data, &members)
		if got := membersOf(data); !reflect.DeepEqual(members, got) {
			t.Fatalf("%q has the members %q, not %q", data, got, members)
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		tok, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := readNode(dec, tok, depth); !reflect.DeepEqual(want, got) {
			t.Fatalf("%q\nis read as %+v,\nwas         %+v", data, got, want)
		}
	})
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

// readObject keeps a key where it stood first, with its last value, and what looks like the number of a list's item before all others, as
// JSON.parse does.
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
	slices.SortStableFunc(n.members, func(a, b member) int { return cmp.Compare(rank(a.key), rank(b.key)) })
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
