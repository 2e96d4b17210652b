package message

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// randomly is how many are tried; more of them, with -update and the tests of web after it, look for what nobody thought of.
var randomly = flag.Int("randomly", 400, "how many random payloads Go and the browser are compared by")

const randomFile = "testdata/random.jsonl"

// Go and the browser read and word what was made up at random in the same way; web/src/reading.test.ts is held to the same file.
func TestReadingsAgreeAtRandom(t *testing.T) {
	var b bytes.Buffer
	for n := range *randomly {
		g := generator{rand.New(rand.NewPCG(uint64(n), 5))}
		payload := g.value(0)
		if !json.Valid([]byte(payload)) {
			t.Fatalf("the generator made %s", payload)
		}
		line, err := json.Marshal([]any{payload, wordedIn(payload)})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	if *update {
		if err := os.WriteFile(randomFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(randomFile)
	if err != nil {
		t.Fatal(err)
	}
	want, got := bufio.NewScanner(bytes.NewReader(text)), bufio.NewScanner(&b)
	want.Buffer(nil, 1<<20)
	got.Buffer(nil, 1<<20)
	for n := 0; got.Scan(); n++ {
		if !want.Scan() {
			t.Fatalf("%s ends after %d: go test ./message -update writes it anew", randomFile, n)
		}
		if diff := cmp.Diff(want.Text(), got.Text()); diff != "" {
			t.Errorf("line %d (-want +got), go test ./message -update writes it anew:\n%s", n+1, diff)
		}
	}
}

// wordedIn are the readings of a payload in words, with the values as JSON has them.
func wordedIn(payload string) [][]any {
	all := [][]any{}
	for _, r := range Readings(json.RawMessage(payload)) {
		s := Describe(r)
		value := r.Value
		if n, is := value.(float64); is && n == 0 {
			value = 0.0 // JSON.stringify knows no other
		}
		all = append(all, []any{r.Name, value, s.Label, s.Value, s.Unit, s.Minor})
	}
	return all
}

// generator makes up payloads out of what devices say and what nobody should.
type generator struct{ *rand.Rand }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) value(depth int) string {
	switch n := g.IntN(10); {
	case depth < 7 && (n < 2 || depth == 0 && n < 9):
		return g.object(depth)
	case depth < 7 && n == 3:
		return g.list(depth)
	case n < 7:
		return g.number()
	case n < 9:
		return quoted(g.text())
	}
	return pick(g, "true", "false", "null")
}

func (g generator) object(depth int) string {
	var members []string
	for range g.IntN(6) + g.IntN(2)*g.IntN(3) {
		members = append(members, quoted(g.key())+":"+g.value(depth+1))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (g generator) list(depth int) string {
	var items []string
	for range g.IntN(4) + g.IntN(60)/59*70 {
		items = append(items, g.value(depth+1))
	}
	return "[" + strings.Join(items, ",") + "]"
}

func (g generator) number() string {
	switch g.IntN(8) {
	case 0:
		return strconv.Itoa(g.IntN(3))
	case 1:
		return strconv.Itoa(g.IntN(200_000) - 50_000)
	case 2:
		return strconv.FormatFloat(float64(g.IntN(400_000)-100_000)/pick(g, 8.0, 10, 16, 100, 1000, 2000), 'f', -1, 64)
	case 3:
		return pick(g, "-0", "-0.0", "0.0005", "0.00049", "-0.0004", "1e3", "1E-7", "2.5", "0.125", "-0.125", "1.005", "999.95", "9.995", "99.95", "1e15", "-1e15",
			"123456789012345678", "1.7976931348623157e308", "1e400", "-1e400", "5e-324", "0.1e1", "1772366400", "1772366400123", "1772366400.9", "1e9", "1e10", "1e12", "999999999999999.9")
	case 4:
		return strconv.FormatFloat(g.NormFloat64()*pick(g, 1e-4, 1, 1e5, 1e14, 1e22), 'g', -1, 64)
	case 5:
		return fmt.Sprintf("%.*f", g.IntN(5), g.Float64()*pick(g, 1.0, 10, 100, 2000))
	}
	return strconv.FormatFloat(float64(g.IntN(1000))/10, 'f', -1, 64)
}

func (g generator) key() string {
	word := func() string {
		return pick(g, "temperature", "temp", "t", "Temp", "tempC", "tempF", "tF", "tC", "humidity", "hum", "battery", "batt", "voltage", "v", "V", "value", "val", "unit", "u",
			"units", "name", "n", "parameter", "lat", "lon", "Latitude", "longitude", "lng", "power", "POWER", "POWER1", "relays", "switch:0", "data", "payload", "object", "state",
			"status", "BME280", "DS18B20-1", "AM2301", "A0", "1", "2", "0", "10", "007", "pm2.5", "PM2_5", "pm25", "co2", "eCO2", "time", "ts", "timestamp", "seen", "id", "serial",
			"illuminance", "mem_free", "disk_size", "signal", "rssi", "motion", "contact", "soil", "pump", "Größe", "ΘΕΡΜΟΣ", "İstanbul", "ß", "ŉx", "ǆ", "Ⓐb", "éÉ", "темп", "温度",
			"a.b", "a", "b", "c", "x_y", "", " ", "_", "-", "wifi", "sys", "level", "light", "led", "ok", "open", "pressure", "energy", "aenergy", "total", "__proto__", "constructor",
			"toString", "hasOwnProperty", "ab\u202ecd", "tab\tbed", "nul\x00l", "e\u0301", "\ufeffx", "👍", "👍temp", "k", "K", "ſ", "ÿ", "ჯa", "ᾳb", "ﬁ")
	}
	suffix := func() string {
		return pick(g, "c", "f", "C", "pct", "mv", "mV", "v", "ms", "s", "bytes", "lux", "lx", "w", "kw", "kWh", "m/s", "l_min", "celsius", "fahrenheit", "1", "2", "voltage", "m", "g")
	}
	switch g.IntN(6) {
	case 0:
		return word() + pick(g, "_", "-", ".", " ", "", "/") + suffix()
	case 1:
		return word() + pick(g, "_", "-", ".", "", ":") + word()
	case 2:
		return pick(g, "value", "unit", "v", "u", "name", "lat", "lon", "data", "1", "2")
	}
	return word()
}

func (g generator) text() string {
	switch g.IntN(6) {
	case 0:
		return g.number()
	case 1:
		return g.number() + pick(g, "", " ") + pick(g, "°C", "C", "℃", "%", "V", "mV", "W", "ppm", "µg/m³", "lx", "L/min", "km/h", "x", "K", "°", "s")
	case 2:
		return pick(g, "°C", "C", "F", "%", "V", "mV", "lux", "W/m²", "", "kWh", "Cel", "toString")
	case 3:
		return pick(g, "2026-05-01T12:00:00Z", "2026-05-01 12:00:00+02:00", "2026-02-30T12:00:00Z", "2026-05-01T24:00:00Z", "2026-05-01T12:00:60Z", "2026-05-01T12:00:00.123456789-23:59",
			"2026-05-01T12:00:00+24:00", "2026-05-01T12:60:00Z", "2026-05-01T12:00:00", "2099-12-31T23:59:59Z", "2026-05-01T12:00:00+14:60", "2026-05-01T12:00:00+99:99", "2026-13-01T12:00:00Z",
			"2026-05-01T12:00:00-00:00", "2024-02-29T00:00:00+00:01")
	case 4:
		return pick(g, "ON", "OFF", "open", "OPEN", "true", "false", "True", "online", "A", "é", "n/a", " 21.5 ", "\u00a021", "\u008521", "\ufeff21", "\u202821\u2029", "21,5", "007", "-5", "+5", ".5",
			"5.", "0x10", "1e5", "-0", "\x00", "line\nbreak", "ab\u202edc", "\u2066x\u2069", "👍", strings.Repeat("ä", 100), strings.Repeat("ä", 101), strings.Repeat("9", 39), "אב\u200fג")
	}
	return g.key()
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}
