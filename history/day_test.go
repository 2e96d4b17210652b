package history

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"trellis/message"
)

var shedT = Drawable{About: "shed", Reading: "t", Topics: []string{"acme/local/SHED/publish"}}

func mustDay(t testing.TB, s *Store, of Drawable, now time.Time) Day {
	t.Helper()
	days, err := s.Days(context.Background(), []Drawable{of}, now)
	if err != nil {
		t.Fatal(err)
	}
	return days[0]
}

// measured fills so many hours before now with one number every 10 minutes.
func measured(t testing.TB, s *Store, hours int, now time.Time, value func(at time.Time) float64) {
	t.Helper()
	var batch []message.Message
	for when := now.Add(-time.Duration(hours) * time.Hour); when.Before(now); when = when.Add(10 * time.Minute) {
		batch = append(batch, at(fmt.Sprint(when.UnixNano()), when, fmt.Sprintf(`{"t":%v}`, value(when))))
	}
	mustAppend(t, s, batch...)
}

func TestADayShowsAsMuchAsIsKnown(t *testing.T) {
	for name, tt := range map[string]struct {
		hours      int
		span, step time.Duration
	}{
		"half a day":         {12, 24 * time.Hour, 15 * time.Minute},
		"two hours":          {2, 6 * time.Hour, 5 * time.Minute},
		"the last hour":      {1, time.Hour, time.Minute},
		"much more than all": {100, 24 * time.Hour, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir(), Config{})
			measured(t, s, tt.hours, noon, func(time.Time) float64 { return 7 })
			d := mustDay(t, s, shedT, noon)
			if d.Span != tt.span || d.Step != tt.step || !d.Begin.Equal(noon.Add(-tt.span)) || len(d.Means) == 0 || d.Last == 0 || d.Means[len(d.Means)-1] != 7 {
				t.Errorf("%+v", d)
			}
		})
	}
	s := openStore(t, t.TempDir(), Config{})
	measured(t, s, 1, noon.Add(-48*time.Hour), func(time.Time) float64 { return 7 })
	if d := mustDay(t, s, shedT, noon); len(d.Means) != 0 {
		t.Errorf("what was silent for a day shows %+v", d)
	}
}

func TestADayHasGapsAndIsOneLineOfSeveralTopics(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	ago := func(id string, minutes int, v float64) message.Message {
		return at(id, noon.Add(-time.Duration(minutes)*time.Minute), fmt.Sprintf(`{"t":%v}`, v))
	}
	other := ago("other", 10, 30)
	other.Topic = "acme/local/NEW/publish"
	mustAppend(t, s, ago("1", 50, 1), ago("2", 30, 3), ago("3", 10, 10), ago("4", 10, 20), other)
	d := mustDay(t, s, Drawable{About: "shed", Reading: "t", Topics: []string{"acme/local/SHED/publish", "acme/local/NEW/publish"}}, noon)
	var got []string
	for i, v := range d.Means {
		if !math.IsNaN(v) {
			got = append(got, fmt.Sprint(i, " ", v))
		}
	}
	if fmt.Sprint(got) != "[10 1 30 3 50 20]" || d.Last != 3 || len(d.Means) != 51 {
		t.Errorf("%v, the last of %d, %d steps", got, d.Last, len(d.Means))
	}
}

func TestWhatIsUsualByTheHour(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	// By day 20 with a step for each day, at night 10; today is another day altogether.
	measured(t, s, 10*24, noon, func(at time.Time) float64 {
		switch {
		case noon.Sub(at) <= 24*time.Hour:
			return 99
		case at.Hour() >= 6 && at.Hour() < 18:
			return 20 + float64(at.YearDay()%3)
		}
		return 10
	})
	d := mustDay(t, s, shedT, noon)
	if d.Usual == nil {
		t.Fatal("nothing is usual after ten days")
	}
	if u := d.Usual[12]; u.Low != 20 || u.High != 22 {
		t.Errorf("at noon %+v is usual", u)
	}
	if u := d.Usual[0]; u.Low != 10 || u.High != 10 {
		t.Errorf("at midnight %+v is usual", u)
	}
	young := openStore(t, t.TempDir(), Config{})
	measured(t, young, 3*24, noon, func(time.Time) float64 { return 7 })
	if d := mustDay(t, young, shedT, noon); d.Usual != nil {
		t.Errorf("after two days and a half this is usual: %+v", d.Usual)
	}
}

func TestHoursOfWhichLittleIsKnownHaveNoBand(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	var batch []message.Message
	for day := 1; day < 10; day++ {
		for hour := 8; hour < 12; hour++ {
			when := time.Date(2026, 11, 22-day, hour, 5, 0, 0, time.UTC)
			batch = append(batch, at(fmt.Sprint(when), when, `{"t":1}`))
		}
	}
	mustAppend(t, s, batch...)
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	d := mustDay(t, s, shedT, now)
	if d.Usual == nil || math.IsNaN(d.Usual[9].Low) || !math.IsNaN(d.Usual[14].Low) || !math.IsNaN(d.Usual[7].Low) {
		t.Errorf("%+v", d.Usual)
	}
}

// A page of many cards, each with a day by the minute and two weeks by the hour.
func BenchmarkDays(b *testing.B) {
	for _, cards := range []int{20, 1000} {
		b.Run(fmt.Sprint(cards, " cards"), func(b *testing.B) {
			s := openStore(b, b.TempDir(), Config{Sync: time.Hour})
			of := fillDays(b, s, cards)
			for b.Loop() {
				days, err := s.Days(context.Background(), of, noon)
				if err != nil || len(days) != cards || len(days[0].Means) != 96 || days[0].Usual == nil {
					b.Fatal(len(days), err)
				}
			}
		})
	}
}

// fillDays writes the sums themselves, as they are after two weeks.
func fillDays(b *testing.B, s *Store, cards int) (of []Drawable) {
	b.Helper()
	tx, err := s.write.db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	for n := range cards {
		topic, reading := fmt.Sprintf("acme/local/k%d/publish", n/10), fmt.Sprint("r", n)
		of = append(of, Drawable{About: "shed", Reading: reading, Topics: []string{topic}})
		for _, query := range []string{
			`INSERT INTO series (id, topic, about, reading) VALUES (?1, ?2, 'shed', ?3)`,
			`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1439)
				INSERT INTO minutes SELECT ?1, ?4 - (i + 1) * 60000000, 3, 1, 3, 6 + i % 7 FROM n`,
			`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 359)
				INSERT INTO hours SELECT ?1, ?4 - (i + 1) * 3600000000, 180, 1, 3, 360 + i % 7 FROM n`,
		} {
			if _, err := tx.Exec(query, n+1, topic, reading, stamp(noon)); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	return of
}

// What is said again and again is no different in any digit: a page takes each for a change.
func TestTheMeanOfTheSameIsTheSame(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	var batch []message.Message
	for n := range 400 {
		when := noon.Add(-time.Duration(n*n) * 100 * time.Millisecond) // another number of them in each step
		batch = append(batch, at(fmt.Sprint(n), when, `{"t":3.71}`))
	}
	mustAppend(t, s, batch...)
	for i, mean := range mustDay(t, s, shedT, noon).Means {
		if !math.IsNaN(mean) && mean != 3.71 {
			t.Errorf("step %d is %v", i, mean)
		}
	}
	for _, p := range mustRange(t, s, Span{About: "shed", Reading: "t", From: noon.Add(-6 * time.Hour), To: noon.Add(time.Minute), Points: 40}).Points {
		if p.Mean != 3.71 {
			t.Errorf("%+v", p)
		}
	}
}
