package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pressly/goose/v3"

	"trellis/message"
)

// values is what Values gives for the topics that wanted accepts.
func values(t testing.TB, s *Store, wanted func(string) bool) []Value {
	t.Helper()
	found, err := s.Values(context.Background(), wanted)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// sent is what the router makes of a payload that the source published at noon.
func sent(id, topic, source, payload string) message.Message {
	from := message.Origin{Topic: topic, Source: source, Entity: source[strings.LastIndex(source, ":")+1:], ID: id, Received: noon}
	return message.Normalise([]byte(payload), from, func(string) bool { return false })[0]
}

func ignoreIDs() cmp.Option { return cmpopts.IgnoreUnexported(Value{}) }

func TestValues(t *testing.T) {
	const device = "acme:local:shed"
	long := strings.Repeat("\u00e9", 100)
	for name, tt := range map[string]struct {
		source, payload string
		want            []Value
	}{
		"numbers, words and truth": {device, `{"data":{"a":1,"b":-2.5e-7,"c":"01","d":true,"e":false,"f":"` + long + `","g":"x\u0000y"}}`, []Value{
			{Reading: "a", Value: 1.0, At: noon}, {Reading: "b", Value: -2.5e-7, At: noon}, {Reading: "c", Value: "01", At: noon},
			{Reading: "d", Value: true, At: noon}, {Reading: "e", Value: false, At: noon}, {Reading: "f", Value: long, At: noon},
			{Reading: "g", Value: "x\x00y", At: noon},
		}},
		"the sender's time": {device, `{"data":1,"timestamp":"2026-11-22T11:00:00Z"}`, []Value{
			{Reading: "value", Value: 1.0, At: noon.Add(-time.Hour)},
		}},
		"a clock that runs ahead": {device, `{"data":1,"timestamp":"2027-11-22T11:00:00Z"}`, []Value{
			{Reading: "value", Value: 1.0, At: noon},
		}},
		"sent by hand from a page": {device, `{"data":1,"context":{"by":"page"}}`, []Value{
			{Reading: "value", Value: 1.0, At: noon, ByHand: true},
		}},
		"a page is only spoken of": {device, `{"data":{"by":"page"},"context":{"by":5}}`, []Value{
			{Reading: "by", Value: "page", At: noon},
		}},
		"sent by the operator": {"acme:local:operator", `{"data":1,"entity":"shed"}`, []Value{
			{Reading: "value", Value: 1.0, At: noon, ByHand: true},
		}},
		"an envelope that hides its time": {device, `{"data":1,"context":{"Received":5}}`, []Value{
			{Reading: "value", Value: 1.0, At: noon},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir(), Config{})
			mustAppend(t, s, sent("1", shed, tt.source, tt.payload))
			for i := range tt.want {
				tt.want[i].Topic, tt.want[i].About = shed, "shed"
			}
			if diff := cmp.Diff(tt.want, values(t, s, nil), ignoreIDs()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A payload that cannot be read any more shows that none is.
func TestValuesReadNoPayloadAndOnlyWhatIsWanted(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, publish("1", shed, `{"t":1,"h":2}`), publish("2", "acme/local/BARN/publish", `{"t":2}`))
	mustAppend(t, s, publish("3", shed, `{"t":3}`))
	if _, err := s.write.db.Exec(`DELETE FROM messages`); err != nil {
		t.Fatal(err)
	}
	var asked, got []string
	for _, v := range values(t, s, func(topic string) bool { asked = append(asked, topic); return topic == shed }) {
		got = append(got, fmt.Sprint(v.Topic, " ", v.Reading, "=", v.Value))
	}
	if diff := cmp.Diff([]string{shed + " h=2", shed + " t=3"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"acme/local/BARN/publish", shed}, asked); diff != "" {
		t.Error("each topic is asked about once:", diff)
	}
}

func TestLatestOfReadsOnlyWhatIsWanted(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, publish("1", "acme/local/Z/publish", `{"t":1}`), publish("2", shed, `{"t":2}`), publish("3", "acme/local/A/publish", `{"t":3}`))
	found, err := s.LatestOf(context.Background(), func(topic string) bool { return topic != shed })
	if err != nil || len(found) != 2 || found[0].Topic != "acme/local/Z/publish" || found[1].Topic != "acme/local/A/publish" {
		t.Errorf("got %v, %v, want Z and A, the oldest first", found, err)
	}
}

// wide is a message with one reading of this name and about so many bytes.
func wide(name string, size int) message.Message {
	return publish("", shed, fmt.Sprintf(`{%q:1,"fill":[%q]}`, name, strings.Repeat("x", size)))
}

func TestLatestIsBoundedByBytes(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, publish("other", "acme/local/BARN/publish", `{"t":2}`))
	for i := range 10 {
		mustAppend(t, s, wide(fmt.Sprint("n", i), 120<<10))
	}
	names := func() (all []string) {
		size := 0
		found, err := s.Latest(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range found {
			size += len(r.Payload)
			all = append(all, r.Readings...)
		}
		if size > maxLatestBytes+100 {
			t.Errorf("%d bytes are read for one topic", size)
		}
		return all
	}
	if diff := cmp.Diff([]string{"t", "n8", "n9"}, names()); diff != "" {
		t.Error(diff)
	}
	mustAppend(t, s, publish("small", shed, `{"small":1}`))
	mustAppend(t, s, wide("n9", 10)) // it speaks again, and briefly
	if diff := cmp.Diff([]string{"t", "n8", "small", "n9"}, names()); diff != "" {
		t.Error(diff)
	}
	mustAppend(t, s, wide("huge", maxLatestBytes))
	if diff := cmp.Diff([]string{"t"}, names()); diff != "" {
		t.Error("no single message may be above the bound either:", diff)
	}
}

// A message counts once, however many readings it holds.
func TestManyReadingsOfOneMessageStay(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	many := map[string]string{}
	for i := range message.MaxReadings {
		many[fmt.Sprint("n", i)] = strings.Repeat("x", 190)
	}
	data, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, publish("1", shed, string(data)))
	if n := len(values(t, s, nil)); n != message.MaxReadings {
		t.Errorf("%d readings, want %d", n, message.MaxReadings)
	}
}

// firstVersion makes a database as the first migration alone did, and fills it as was done then.
func firstVersion(t *testing.T, dir string, fill ...message.Message) {
	t.Helper()
	first, err := migrations.ReadFile("migrations/00001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	only := fstest.MapFS{"00001_first.sql": {Data: first}}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, only, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i, m := range fill {
		_, err := db.Exec(`INSERT INTO messages (id, uid, received, topic, source, about, payload) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			i+1, m.ID, stamp(m.Received), m.Topic, m.Source, m.About, []byte(m.Payload))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range message.Readings(m.Data) {
			if _, err := db.Exec(`INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?)`, m.Topic, m.About, r.Name, i+1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAnOlderFileIsBroughtUpToDate(t *testing.T) {
	const device = "acme:local:shed"
	dir := t.TempDir()
	all := []message.Message{
		sent("1", shed, device, `{"data":{"a":1,"open":true},"timestamp":"2026-11-22T11:00:00Z"}`),
		sent("2", shed, device, `{"data":{"a":2,"word":"two"},"context":{"by":"page"}}`),
		sent("broken", "acme/local/BARN/publish", device, `{"data":{"a":3}}`),
		sent("odd", "acme/local/POND/publish", device, `{"data":{"a":4}}`),
	}
	all[2].Payload = []byte(`{"data":`)
	for i := range 3 {
		all = append(all, sent(fmt.Sprint("wide", i), "acme/local/WIDE/publish", device,
			fmt.Sprintf(`{"data":{"w%d":1,"fill":[%q]}}`, i, strings.Repeat("x", 100<<10))))
	}
	firstVersion(t, dir, all...)
	s := openStore(t, dir, Config{})
	value := func(topic, name string, is any, at time.Time, hand bool) Value {
		return Value{Topic: topic, About: "shed", Reading: name, Value: is, At: at, ByHand: hand}
	}
	want := []Value{
		value(shed, "open", true, noon.Add(-time.Hour), false),
		value(shed, "a", 2.0, noon, true),
		value(shed, "word", "two", noon, true),
		value("acme/local/POND/publish", "a", 4.0, noon, false),
		value("acme/local/WIDE/publish", "w1", 1.0, noon, false),
		value("acme/local/WIDE/publish", "w2", 1.0, noon, false),
	}
	if diff := cmp.Diff(want, values(t, s, nil), ignoreIDs()); diff != "" {
		t.Error(diff)
	}
	if found, err := s.Latest(context.Background()); err != nil || len(found) != 6 {
		t.Errorf("%d latest messages, %v, want 6: all but the first of the wide ones", len(found), err)
	}
	mustAppend(t, s, sent("3", "acme/local/BARN/publish", device, `{"data":{"a":5}}`))
	found := values(t, s, func(topic string) bool { return strings.Contains(topic, "BARN") })
	if diff := cmp.Diff([]Value{value("acme/local/BARN/publish", "a", 5.0, noon, false)}, found, ignoreIDs()); diff != "" {
		t.Error("what could not be read is replaced by what can:", diff)
	}
}
