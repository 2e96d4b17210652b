package message

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/devices.readings.json anew")

// What real devices send, as their public documentation has it, and what somebody who bought one would want to read of it. Nine of
// ten have to be right without any setting.
func TestWhatRealDevicesSendNeedsNoSetting(t *testing.T) {
	text, err := os.ReadFile("testdata/devices.json")
	if err != nil {
		t.Fatal(err)
	}
	var devices []struct {
		Device string
		Data   json.RawMessage
		People [][3]string
	}
	if err := json.Unmarshal(text, &devices); err != nil {
		t.Fatal(err)
	}
	if len(devices) < 60 {
		t.Fatalf("only %d devices: the file was cut short", len(devices))
	}
	right := 0
	for _, d := range devices {
		var cards [][3]string
		for _, r := range Readings(d.Data) {
			if s := Describe(r); !s.Minor {
				cards = append(cards, [3]string{s.Label, s.Value, s.Unit})
			}
		}
		if diff := cmp.Diff(d.People, cards); diff != "" {
			t.Logf("%s needs a setting (-people want +cards):\n%s", d.Device, diff)
			continue
		}
		right++
	}
	t.Logf("%d of %d devices need no setting", right, len(devices))
	agree(t, func() (all [][]described) {
		for _, d := range devices {
			readings := []described{}
			for _, r := range Readings(d.Data) {
				s := Describe(r)
				readings = append(readings, described{r.Name, s.Label, s.Value, s.Unit, s.Minor})
			}
			all = append(all, readings)
		}
		return all
	}())
	if right*10 < len(devices)*9 {
		t.Errorf("%d of %d devices need no setting, which is fewer than nine of ten", right, len(devices))
	}
}

type described struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Value string `json:"value"`
	Unit  string `json:"unit"`
	Minor bool   `json:"minor"`
}

// agree holds us to what the browser's tests hold web/src/reading.ts to.
func agree(t *testing.T, got [][]described) {
	t.Helper()
	const file = "testdata/devices.readings.json"
	if *update {
		var b bytes.Buffer
		for i, readings := range got {
			line, err := json.Marshal(readings)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(map[bool]string{true: "[\n", false: ",\n"}[i == 0])
			b.Write(line)
		}
		b.WriteString("\n]\n")
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want [][]described
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("readings (-want +got), go test ./message -update writes them anew:\n%s", diff)
	}
}
