package message

import "slices"

// fewKeys are looked through one by one; of more a map is made, since a stranger may send very many.
const fewKeys = 16

// index knows where texts stand in a list without doubles. Most lists are short, and then it is the list alone.
type index struct {
	all []string
	at  map[string]int
}

// place is where a text stands, or -1.
func (x *index) place(text string) int {
	if x.at == nil {
		return slices.Index(x.all, text)
	}
	if i, is := x.at[text]; is {
		return i
	}
	return -1
}

// add puts a text at the end, if it is not there yet, and says where it stands.
func (x *index) add(text string) int {
	if i := x.place(text); i >= 0 {
		return i
	}
	x.all = append(x.all, text)
	switch n := len(x.all); {
	case x.at != nil:
		x.at[text] = n - 1
	case n > fewKeys:
		x.at = make(map[string]int, 2*n)
		for i, text := range x.all {
			x.at[text] = i
		}
	}
	return len(x.all) - 1
}
