package templates

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

type graphVector struct {
	Name      string        `json:"name"`
	Now       int64         `json:"now"`
	Begin     int64         `json:"begin"`
	Step      int64         `json:"step"`
	Span      int64         `json:"span"`
	Usual     int64         `json:"usual"`
	Means     []*float64    `json:"means"`
	Band      []*[2]float64 `json:"band"`
	Line      string        `json:"line"`
	BandPath  string        `json:"bandPath"`
	Direction string        `json:"direction"`
}

func (v graphVector) graph() Graph {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	g := Graph{Begin: time.UnixMilli(v.Begin), Step: ms(v.Step), Span: ms(v.Span)}
	for _, mean := range v.Means {
		if mean == nil {
			g.Means = append(g.Means, math.NaN())
		} else {
			g.Means = append(g.Means, *mean)
		}
	}
	if v.Band != nil {
		g.Usual = &[24]Between{}
		for h, b := range v.Band {
			if g.Usual[h] = (Between{math.NaN(), math.NaN()}); b != nil {
				g.Usual[h] = Between{b[0], b[1]}
			}
		}
	}
	return g
}

// web/src/graph.test.ts holds the scripts to the same drawings.
func TestGraphsAgreeWithTheScripts(t *testing.T) {
	all := vectors[[]graphVector](t, "graphs.json")
	for i, v := range all {
		d := v.graph().draw(time.UnixMilli(v.Now), time.Duration(v.Usual)*time.Millisecond)
		if *update {
			all[i].Line, all[i].BandPath, all[i].Direction = d.Line, d.Band, d.Direction
			continue
		}
		if d.Line != v.Line || d.Band != v.BandPath || d.Direction != v.Direction {
			t.Errorf("%s:\n%s\n%s\n%s, want\n%s\n%s\n%s", v.Name, d.Line, d.Band, d.Direction, v.Line, v.BandPath, v.Direction)
		}
	}
	if *update {
		var lines []string
		for _, v := range all {
			raw, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, "  "+string(raw))
		}
		if err := os.WriteFile("testdata/graphs.json", []byte("[\n"+strings.Join(lines, ",\n")+"\n]\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What the vectors hold was looked at; this says what must be true of them.
func TestWhatAGraphShows(t *testing.T) {
	drawn := map[string]drawing{}
	for _, v := range vectors[[]graphVector](t, "graphs.json") {
		drawn[v.Name] = v.graph().draw(time.UnixMilli(v.Now), time.Duration(v.Usual)*time.Millisecond)
	}
	for name, lines := range map[string]int{
		"one value is a dot": 1, "nothing": 0, "up": 1, "a gap of three steps": 2, "a gap that its rhythm explains": 1, "alone between gaps": 3,
	} {
		if got := strings.Count(drawn[name].Line, "M"); got != lines {
			t.Errorf("%s: %d lines, want %d: %s", name, got, lines, drawn[name].Line)
		}
	}
	for name, want := range map[string]string{
		"one value is a dot": "", "flat is steady": "steady", "up": "rising", "down": "falling", "it trembles": "steady", "it jitters, and rises": "rising",
		"it jitters, and is a little higher by chance": "steady", "the newest alone is higher, as now and then": "steady",
	} {
		if got := drawn[name].Direction; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := drawn["at the edge of numbers"].Line; got != "M148.4 36L150.9 4L153.5 20" && !strings.Contains(got, " 4L") {
		t.Errorf("at the edge of numbers: %s", got)
	}
	if got := strings.Count(drawn["a band with hours that are not known"].Band, "Z"); got != 3 {
		t.Errorf("%d bands, want 3", got)
	}
	for name, d := range drawn {
		if strings.Contains(d.Line+d.Band, "NaN") || strings.Contains(d.Line+d.Band, "Inf") {
			t.Errorf("%s: %s %s", name, d.Line, d.Band)
		}
	}
}
