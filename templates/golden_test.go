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
	for name, p := range BoardExamples {
		all[name] = Board(p)
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
	page := draw(t, Board(BoardExamples["board-hostile"]))
	for _, bad := range []string{"<script>alert", "<img src=x", "<i>label", "<u>21"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
}

func TestPagesHoldNothingThatTheContentPolicyForbids(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)<[a-z]+[^>]*\s(style|on[a-z]+)=|<style|javascript:|<script>|https?://`)
	for name, page := range examples() {
		if name == "board-hostile" {
			continue // its words look like markup on purpose; the test above is for it
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
		Values   []struct{ Value, Words, Kind, Size string }
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors.Ages {
		if got := age(time.Duration(v.Seconds) * time.Second); got != v.Words {
			t.Errorf("age of %d s is %q, want %q", v.Seconds, got, v.Words)
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

func draw(t *testing.T, page templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := page.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
