package message

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// web/src/setting.test.ts holds the scripts to the same file.
func TestSettingsAgreeWithTheSharedVectors(t *testing.T) {
	file, err := os.ReadFile("testdata/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Shown []struct {
			Case    string
			Reading [2]any
			As      Setting
			Want    [4]string
		}
		Converted []struct {
			Value    float64
			From, To string
			Want     *float64
		}
	}
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Shown) < 40 || len(vectors.Converted) < 15 {
		t.Fatal("the file was cut short")
	}
	for _, v := range vectors.Shown {
		t.Run(v.Case, func(t *testing.T) {
			s := DescribeAs(Reading{v.Reading[0].(string), v.Reading[1]}, v.As)
			if got := [4]string{s.Label, s.Value, s.Unit, s.Outside}; got != v.Want {
				t.Errorf("got %q, want %q", got, v.Want)
			}
		})
	}
	for _, v := range vectors.Converted {
		got, ok := Convert(v.Value, v.From, v.To)
		switch {
		case ok != (v.Want != nil):
			t.Errorf("%v %s in %s is known: %v", v.Value, v.From, v.To, ok)
		case ok && math.Abs(got-*v.Want) > 1e-9:
			t.Errorf("%v %s are %v %s, want %v", v.Value, v.From, got, v.To, *v.Want)
		}
	}
}

func TestUnitsLeadBackToWhereTheyCameFrom(t *testing.T) {
	for _, kind := range kinds {
		for _, from := range kind {
			for _, to := range kind {
				there, ok := Convert(12.5, from.Unit, to.Unit)
				if !ok {
					t.Errorf("nobody knows %q in %q", from.Unit, to.Unit)
				}
				if back, _ := Convert(there, to.Unit, from.Unit); math.Abs(back-12.5) > 1e-9 {
					t.Errorf("12.5 %q by way of %q are %v", from.Unit, to.Unit, back)
				}
			}
		}
	}
}

// A limit that was typed in one unit is the same number when the form shows it again.
func TestAFieldShowsWhatWasTyped(t *testing.T) {
	for _, typed := range []float64{86, 85.9, -40, 0.1, 1234567, 0} {
		sent, _ := Convert(typed, "°F", "°C")
		shown, _ := Convert(sent, "°C", "°F")
		want := typed
		if InField(shown) != InField(want) {
			t.Errorf("%v became %s", typed, InField(shown))
		}
	}
	if got := InField(1234567.5); got != "1234567.5" {
		t.Errorf("a field shows %s", got)
	}
}
