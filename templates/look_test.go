package templates

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func vectors[T any](t *testing.T, file string) (all T) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

type lookVectors struct {
	Spans []struct {
		Ms    int
		Words string
	}
	Devices []struct {
		Name              string
		Silent, Value     int
		Down              bool
		Rhythm            string
		Usual, Old, Quiet int
		Look, State, Card string
		Silence           string
	}
	Sentences []struct {
		Devices []struct {
			ID, Rhythm     string
			Values, Silent int
			Beyond         []string
		}
		Words string
	}
	Orders []struct {
		Name    string
		Devices []struct {
			ID           string
			Rank         int
			Needs, Minor bool
		}
		Order []string
	}
}

func secondsOf(n int) time.Duration { return time.Duration(n) * time.Second }

// web/src/look.test.ts holds the scripts to the same words.
func TestLooksAgreeWithTheScripts(t *testing.T) {
	all := vectors[lookVectors](t, "looks.json")
	for _, v := range all.Spans {
		if got := span(time.Duration(v.Ms) * time.Millisecond); got != v.Words {
			t.Errorf("%d ms are %q, want %q", v.Ms, got, v.Words)
		}
	}
	for _, v := range all.Devices {
		d := Device{Heard: moment.Add(-secondsOf(v.Silent)), Rhythm: v.Rhythm, Usual: secondsOf(v.Usual), Old: secondsOf(v.Old), Quiet: secondsOf(v.Quiet)}
		look := d.look(Link{Down: v.Down}, moment)
		card := cardWord(look, d, secondsOf(max(v.Value, v.Silent)))
		if string(look) != v.Look || d.state(look, moment) != v.State || card != v.Card {
			t.Errorf("%s: %s, %q, %q, want %s, %q, %q", v.Name, look, d.state(look, moment), card, v.Look, v.State, v.Card)
		}
		if got := d.silence(look, moment); got != v.Silence {
			t.Errorf("%s: of its silence %q is said, want %q", v.Name, got, v.Silence)
		}
	}
}

func TestTheSentenceAgreesWithTheScripts(t *testing.T) {
	for _, v := range vectors[lookVectors](t, "looks.json").Sentences {
		known := map[string]Device{}
		var cards []Card
		for _, d := range v.Devices {
			known[d.ID] = Device{Heard: moment.Add(-secondsOf(d.Silent)), Rhythm: d.Rhythm, Usual: 5 * time.Minute, Old: 5 * time.Minute, Quiet: 825 * time.Second}
			for i := range d.Values {
				c := Card{Entity: d.ID, Reading: fmt.Sprint(i), Label: fmt.Sprint("Value ", i+1), Value: "1", At: moment}
				if i < len(d.Beyond) {
					c.Attention = d.Beyond[i]
				}
				cards = append(cards, c)
			}
		}
		p := BoardPage{}
		p.Arrange(cards, known, moment)
		if p.Summary != v.Words {
			t.Errorf("%+v: %q, want %q", v.Devices, p.Summary, v.Words)
		}
	}
}

func TestWhatAQuietDeviceSaidLastIsNotSaidToBeSo(t *testing.T) {
	p := BoardPage{}
	p.Arrange([]Card{{Entity: "fridge", Value: "9", At: moment, Attention: "above 8 °C", Label: "Temperature"}},
		map[string]Device{"fridge": {Heard: moment.Add(-time.Hour), Rhythm: "steady", Usual: time.Minute, Quiet: 3 * time.Minute}}, moment)
	if p.Summary != "Fridge is quiet since 11:00. Fridge temperature was above 8 °C." {
		t.Error(p.Summary)
	}
}

func TestAHiddenDeviceHasNoNameToBeToldFrom(t *testing.T) {
	p := BoardPage{}
	p.Arrange([]Card{{Entity: "home:a:probe", Value: "1", At: moment, Attention: "above 30", Label: "Level"}, {Entity: "home:b:probe", Value: "2", At: moment}},
		map[string]Device{"home:b:probe": {Hidden: true}}, moment)
	if p.Summary != "Probe level is above 30." {
		t.Error(p.Summary)
	}
}

func TestTheOrderAgreesWithTheScripts(t *testing.T) {
	for _, v := range vectors[lookVectors](t, "looks.json").Orders {
		known := map[string]Device{}
		var cards []Card
		for _, d := range v.Devices {
			known[d.ID] = Device{Rank: d.Rank}
			c := Card{Entity: d.ID, Value: "1", At: moment, Minor: d.Minor}
			if d.Needs {
				c.Attention = "above 30"
			}
			cards = append(cards, c)
		}
		p := BoardPage{}
		p.Arrange(cards, known, moment)
		var got []string
		for _, g := range p.Groups {
			got = append(got, g.Entity)
		}
		if !slices.Equal(got, v.Order) {
			t.Errorf("%s: %v, want %v", v.Name, got, v.Order)
		}
	}
}

func TestWhatIsHiddenNeedsNoAttention(t *testing.T) {
	p := BoardPage{}
	p.Arrange([]Card{{Entity: "a", Value: "1", At: moment, Attention: "above 30", Hidden: true}, {Entity: "a", Value: "3", At: moment}, {Entity: "b", Value: "2", At: moment}},
		map[string]Device{"b": {Hidden: true, Heard: moment.Add(-time.Hour), Quiet: time.Minute}}, moment)
	if p.Summary != "1 value from A." || p.Groups[0].Entity != "a" {
		t.Errorf("%q, %s first", p.Summary, p.Groups[0].Entity)
	}
}

func TestWhoeverChangesTheOrderSeesIt(t *testing.T) {
	cards := []Card{{Entity: "a", Value: "1", At: moment}, {Entity: "b", Value: "31", At: moment, Attention: "above 30"}}
	for changing, first := range map[bool]string{false: "b", true: "a"} {
		p := BoardPage{Changing: Changing{On: changing}}
		p.Arrange(cards, nil, moment)
		if p.Groups[0].Entity != first || !strings.Contains(p.Summary, "above 30") {
			t.Errorf("changing %v: %s stands first, %q", changing, p.Groups[0].Entity, p.Summary)
		}
	}
}

func TestALostLinkIsSaid(t *testing.T) {
	p := BoardPage{Link: Link{Down: true, To: "app.tendrl.com", Since: moment.Add(-58 * time.Minute)}}
	p.Arrange([]Card{{Entity: "a", Value: "1", At: moment}}, nil, moment)
	if want := "We lost our link to app.tendrl.com at 11:02. Values below are from then."; p.Summary != want {
		t.Errorf("%q, want %q", p.Summary, want)
	}
	p.Arrange(nil, nil, moment)
	if p.Summary != "Nothing was heard yet." {
		t.Errorf("with no values: %q", p.Summary)
	}
}
