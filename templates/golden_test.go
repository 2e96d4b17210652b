package templates

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write what the pages look like now to testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func examples() map[string]templ.Component {
	all := map[string]templ.Component{}
	for name, p := range SignInExamples {
		all[name] = SignIn(p)
	}
	for name, p := range EnterExamples {
		all[name] = Enter(p)
	}
	for name, p := range ProblemExamples {
		all[name] = Problem(p)
	}
	for name, p := range CheckExamples {
		all[name] = Check(p)
	}
	for name, p := range HappenedExamples {
		all[name] = HappenedView(p)
	}
	for name, p := range BoardExamples {
		all[name] = Board(p)
	}
	for name, p := range ValueExamples {
		all[name] = Value(p)
	}
	for name, p := range MomentExamples {
		all[name] = Moment(p)
	}
	for name, p := range MomentDoorExamples {
		all[name] = MomentDoor(p)
	}
	return all
}

// The hash in a file's name changes with every change of a script, which is no change of a page.
var hashes = regexp.MustCompile(`(/static/[a-z]+)-[A-Z2-7]{8}(\.[a-z]+)`)

func TestPagesLookAsTheyDid(t *testing.T) {
	for name, page := range examples() {
		t.Run(name, func(t *testing.T) {
			got := strings.ReplaceAll(hashes.ReplaceAllString(draw(t, page), "$1$2"), "><", ">\n<") + "\n"
			file := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("go test ./templates -update would change %s (-want +got):\n%s", file, diff)
			}
		})
	}
}

func TestNothingThatAPageIsGivenBecomesMarkup(t *testing.T) {
	page := draw(t, Board(BoardExamples["board-hostile"])) + draw(t, HappenedView(HappenedExamples["happened-hostile"])) +
		draw(t, Value(ValueExamples["value-hostile"]))
	for _, bad := range []string{"<script>alert", "<img src=x", "<i>label", "<u>21"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
}

// What only the markup holds nobody reads.
var (
	tags = regexp.MustCompile(`(?s)<script.*?</script>|<[^>]*>`)
	word = regexp.MustCompile(`(?i)[^<>]*\bbrokers?\b[^<>]*`)
)

func TestNoPageNamesABroker(t *testing.T) {
	for name, page := range examples() {
		if found := word.FindString(tags.ReplaceAllString(draw(t, page), "<>")); found != "" {
			t.Errorf("%s says %q", name, found)
		}
	}
}

func TestPagesHoldNothingThatTheContentPolicyForbids(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)<[a-z]+[^>]*\s(style|on[a-z]+)=|<style|javascript:|<script>|https?://`)
	for name, page := range examples() {
		if strings.HasSuffix(name, "-hostile") {
			continue // their words look like markup on purpose; the test above is for them
		}
		if found := forbidden.FindString(draw(t, page)); found != "" {
			t.Errorf("%s holds %q", name, found)
		}
	}
}

// web/src/words.test.ts holds the scripts to the same words.
func TestWordsAgreeWithTheScripts(t *testing.T) {
	raw, err := os.ReadFile("testdata/words.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Ages []struct {
			Seconds int
			Words   string
		}
		Entities []struct{ ID, Name, Place string }
		Times    []struct {
			Ms    int
			Words string
		}
		Clocks []struct{ At, Now, Words string }
		Values []struct{ Value, Words, Kind, Size string }
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors.Ages {
		if got := age(time.Duration(v.Seconds) * time.Second); got != v.Words {
			t.Errorf("age of %d s is %q, want %q", v.Seconds, got, v.Words)
		}
	}
	for _, v := range vectors.Times {
		if got := seconds(time.Duration(v.Ms) * time.Millisecond); got != v.Words {
			t.Errorf("%d ms are %q, want %q", v.Ms, got, v.Words)
		}
	}
	for _, v := range vectors.Clocks {
		at, err := time.Parse("2006-01-02T15:04:05", v.At)
		now, other := time.Parse("2006-01-02T15:04:05", v.Now)
		if got := clock(at, now); err != nil || other != nil || got != v.Words {
			t.Errorf("%s is %q at %s, want %q", v.At, got, v.Now, v.Words)
		}
	}
	for _, v := range vectors.Values {
		words := capitalWord(v.Value)
		if words != v.Words || kindOf(words) != v.Kind || sizeOf(words) != v.Size {
			t.Errorf("%q is shown as %q, a %s, %q; want %q, a %s, %q", v.Value, words, kindOf(words), sizeOf(words), v.Words, v.Kind, v.Size)
		}
	}
	for _, v := range vectors.Entities {
		if name, place := entityWords(v.ID); name != v.Name || place != v.Place {
			t.Errorf("%q is named %q at %q, want %q at %q", v.ID, name, place, v.Name, v.Place)
		}
	}
}

func TestDevicesThatAreQuietComeFirst(t *testing.T) {
	var all []DeviceHeard
	for i := range 20 {
		all = append(all, DeviceHeard{Entity: string(rune('a' + i)), At: moment.Add(-time.Duration(i) * time.Minute), Quiet: i == 3})
	}
	h := Heard(all, moment)
	if h.List[0].Name != "D" || h.List[1].Name != "T" || h.List[0].Age != "Quiet, last heard 3 min ago" || h.List[1].Age != "Last heard 19 min ago" {
		t.Errorf("the list begins with %+v", h.List[:2])
	}
	if len(h.List) != maxHeard || h.More != "and 8 more" || h.Words != "20 devices heard, 1 is quiet." || h.State != "quiet" {
		t.Errorf("%d shown, %q, %q, %q", len(h.List), h.More, h.Words, h.State)
	}
	for name, tt := range map[string]struct {
		all, quiet int
		want       string
	}{
		"nobody":      {0, 0, "No device has sent anything yet."},
		"one":         {1, 0, "1 device heard."},
		"a quiet one": {1, 1, "1 device heard. It is quiet now."},
		"some quiet":  {5, 2, "5 devices heard, 2 are quiet."},
		"all quiet":   {4, 4, "4 devices heard. All are quiet now."},
	} {
		if _, got := heardWords(tt.all, tt.quiet); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func draw(t *testing.T, page templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := page.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
