package history

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustPut(t *testing.T, s *Store, all ...Setting) {
	t.Helper()
	if err := s.PutSettings(context.Background(), all); err != nil {
		t.Fatal(err)
	}
}

func settingsOf(t *testing.T, s *Store, boards ...string) []Setting {
	t.Helper()
	all, err := s.Settings(context.Background(), boards...)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const (
	above = "home:local"
	below = "home:local:shed"
)

func TestSettingsAreKeptFieldByField(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Config{})
	mustPut(t, s, Setting{Board: below, Entity: "shed", Reading: "temperature", Field: SettingName, Value: "Roof"})
	// Somebody else changes another field of the same value, and the device.
	mustPut(t, s, Setting{Board: below, Entity: "shed", Reading: "temperature", Field: SettingUnit, Value: "°F"},
		Setting{Board: below, Entity: "shed", Field: SettingName, Value: "Old shed"},
		Setting{Board: above, Entity: "shed", Field: SettingName, Value: "Shed"})
	mustPut(t, s, Setting{Board: below, Entity: "shed", Reading: "temperature", Field: SettingName, Value: "Under the roof"})
	beside := openStore(t, dir, Config{}) // another process sees the same
	want := []Setting{
		{Board: above, Entity: "shed", Field: SettingName, Value: "Shed"},
		{Board: below, Entity: "shed", Field: SettingName, Value: "Old shed"},
		{Board: below, Entity: "shed", Reading: "temperature", Field: SettingName, Value: "Under the roof"},
		{Board: below, Entity: "shed", Reading: "temperature", Field: SettingUnit, Value: "°F"},
	}
	if diff := cmp.Diff(want, settingsOf(t, beside, above, below)); diff != "" {
		t.Error(diff)
	}
	mustPut(t, s, Setting{Board: below, Entity: "shed", Reading: "temperature", Field: SettingName, Gone: true},
		Setting{Board: below, Entity: "shed", Reading: "temperature", Field: SettingHigh, Gone: true})
	if diff := cmp.Diff(want[3:], settingsOf(t, s, below)[1:]); diff != "" {
		t.Error(diff)
	}
}

func TestSettingsAreAllKeptOrNone(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for name, bad := range map[string]Setting{
		"a field that nobody knows": {Board: below, Entity: "shed", Field: "colour", Value: "red"},
		"nobody's board":            {Entity: "shed", Field: SettingName, Value: "x"},
		"about nobody":              {Board: below, Field: SettingName, Value: "x"},
		"a long value":              {Board: below, Entity: "shed", Field: SettingName, Value: strings.Repeat("x", maxSettingBytes+1)},
		"a long name":               {Board: below, Entity: strings.Repeat("x", maxSettingOfName+1), Field: SettingName, Value: "x"},
		"what is no text":           {Board: below, Entity: "shed", Field: SettingName, Value: "\xff"},
	} {
		good := Setting{Board: below, Entity: "shed", Field: SettingName, Value: "Shed"}
		if err := s.PutSettings(context.Background(), []Setting{good, bad}); err == nil {
			t.Errorf("%s was kept", name)
		}
	}
	if all := settingsOf(t, s, below); len(all) != 0 {
		t.Errorf("half of it was kept: %v", all)
	}
}

func TestABoardHoldsSoManySettings(t *testing.T) {
	const most = 20
	s := openStore(t, t.TempDir(), Config{})
	s.settings = most
	mustAppend(t, s, publish("1", shed, `{"t":1}`)) // what is heard of is kept
	heard := settingsOfLatest(t, s)
	many := func(n int) []Setting {
		all := make([]Setting, n)
		for i := range all {
			all[i] = Setting{Board: below, Entity: "gone", Reading: "r" + strconv.Itoa(i), Field: SettingName, Value: "x"}
		}
		return all
	}
	mustPut(t, s, append(many(most-1), heard)...)
	another := Setting{Board: below, Entity: heard.Entity, Reading: heard.Reading, Field: SettingUnit, Value: "x"}
	mustPut(t, s, another)
	if diff := cmp.Diff([]Setting{heard, another}, settingsOf(t, s, below)); diff != "" {
		t.Error("what is not heard any more did not make room:", diff)
	}
	err := s.inTx(t.Context(), func(tx *sql.Tx) error {
		for _, one := range many(most) {
			_, err := tx.Exec(`INSERT INTO latest (topic, about, reading, message, size, value, truth, at, by_hand)
				SELECT topic, ?, ?, message, size, value, truth, at, by_hand FROM latest WHERE reading = ? LIMIT 1`, one.Entity, one.Reading, heard.Reading)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutSettings(context.Background(), many(most)); !errors.Is(err, ErrSettingsFull) {
		t.Errorf("too many settings: %v", err)
	}
	mustPut(t, s, Setting{Board: above, Entity: heard.Entity, Field: SettingName, Value: "x"}) // another board has room
}

// settingsOfLatest names the one value that was heard of.
func settingsOfLatest(t *testing.T, s *Store) Setting {
	t.Helper()
	values, err := s.Values(context.Background(), nil)
	if err != nil || len(values) != 1 {
		t.Fatal(values, err)
	}
	return Setting{Board: below, Entity: values[0].About, Reading: values[0].Reading, Field: SettingName, Value: "heard"}
}
