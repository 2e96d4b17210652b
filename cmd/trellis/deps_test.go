package main

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says which of our packages each one may import; docs/architecture.md draws the same picture.
var arrows = map[string][]string{
	"access":            {},
	"message":           {},
	"rhythm":            {},
	"static":            {},
	"demo":              {},
	"mqttproxy":         {"access"},
	"broker":            {"access", "message"},
	"history":           {"message"},
	"templates":         {"static"},
	"server":            {"mqttproxy", "history", "access", "message", "rhythm", "templates", "static"},
	"cmd/trellis":       {"access", "broker", "demo", "history", "message", "mqttproxy", "server", "static", "templates"},
	"e2e":               {"history"}, // it reads the record; all else it sees from outside
	"e2e/wire":          {},
	"e2e/seed":          {"history", "message"}, // it writes the record, of a past that no test can wait for
	"e2e/hostile":       {},
	"e2e/hostile/proxy": {"e2e/hostile"},
	"bench":             {"history", "message", "e2e/wire"},
}

// homes says where each big library may be imported: in a folder, or in one file. Tests may use any.
var homes = map[string][]string{
	"github.com/labstack/echo/v4":         {"server"},
	"nhooyr.io/websocket":                 {"mqttproxy/socket.go"},
	"github.com/nats-io/nats-server/v2":   {"broker"},
	"github.com/nats-io/nats.go":          {"broker"},
	"github.com/eclipse/paho.mqtt.golang": {"demo", "mqttproxy"},
	"modernc.org/sqlite":                  {"history"},
	"github.com/pressly/goose/v3":         {"history"},
	"github.com/go-jose/go-jose/v4":       {"access"},
	"github.com/alexedwards/scs/v2":       {"server"},
	"github.com/a-h/templ":                {"templates", "server"},
	"github.com/alecthomas/kong":          {"cmd/trellis"},
	"github.com/prometheus/client_golang": {"server"},
}

// outsiders are tools for looking at the program: e2e and bench may speak with libraries the program keeps in one place.
var outsiders = []string{"e2e", "e2e/wire", "bench"}

// mostLibraries is how many modules the program itself may require directly.
const mostLibraries = 20

func TestImportArrows(t *testing.T) {
	for _, i := range imports(t) {
		ours, is := strings.CutPrefix(i.path, "trellis/")
		allowed, known := arrows[i.folder()]
		switch {
		case !known:
			t.Errorf("%s: the folder %s has no place in the house: add its arrows, or move the file", i.file, i.folder())
		case is && !i.test() && !slices.Contains(allowed, ours):
			t.Errorf("%s: %s must not import %s", i.file, i.folder(), ours)
		}
	}
}

func TestBigLibrariesLiveInOnePlace(t *testing.T) {
	used := map[string]bool{}
	for _, i := range imports(t) {
		for library, places := range homes {
			if !within(i.path, library) || i.test() || slices.Contains(outsiders, i.folder()) {
				continue
			}
			used[library] = true
			if !slices.Contains(places, i.folder()) && !slices.Contains(places, i.file) {
				t.Errorf("%s: %s belongs in %s", i.file, i.path, strings.Join(places, " and "))
			}
		}
	}
	for library := range homes {
		if !used[library] {
			t.Errorf("%s is nowhere imported: take it out of the table", library)
		}
	}
}

func TestDirectDependenciesAreDecided(t *testing.T) {
	const list = "docs/decisions/0001-libraries.md"
	decided := decidedModules(t, list)
	direct := directModules(t)
	for _, module := range direct {
		if !slices.Contains(decided, module) {
			t.Errorf("go.mod requires %s: give it a line with its job and reason in %s", module, list)
		}
	}
	for _, module := range decided {
		if !slices.Contains(direct, module) {
			t.Errorf("%s has a line for %s, which go.mod does not require directly", list, module)
		}
	}
	var program []string
	for _, module := range direct {
		if slices.ContainsFunc(imports(t), func(i importLine) bool {
			return within(i.path, module) && !i.test() && !slices.Contains(outsiders, i.folder())
		}) {
			program = append(program, module)
		}
	}
	if len(program) > mostLibraries {
		t.Errorf("the program requires %d modules directly, at most %d: %s", len(program), mostLibraries, strings.Join(program, " "))
	}
}

// importLine is one import in one file; file is relative to the root.
type importLine struct{ file, path string }

func (i importLine) folder() string { return filepath.ToSlash(filepath.Dir(i.file)) }
func (i importLine) test() bool     { return strings.HasSuffix(i.file, "_test.go") }

// imports reads the imports of every Go file of this module. It parses rather than asks the go command, so that files
// for other systems count too.
func imports(t *testing.T) []importLine {
	t.Helper()
	var all []importLine
	for _, file := range files(t, ".go") {
		if strings.HasPrefix(file, "tools/") { // a module of its own
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), file), nil, parser.ImportsOnly)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, spec := range parsed.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, importLine{file, path})
		}
	}
	return all
}

// within says whether a package belongs to a module.
func within(pkg, module string) bool { return pkg == module || strings.HasPrefix(pkg, module+"/") }

// directModules are those that go.mod requires without the mark `// indirect`.
func directModules(t *testing.T) []string {
	t.Helper()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(command(t, "go", "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	return direct
}

var decidedLine = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.+\\|.+\\|$")

// decidedModules are those that have a row in the list: module, job, reason.
func decidedModules(t *testing.T, list string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), list))
	if err != nil {
		t.Fatal(err)
	}
	var decided []string
	for _, row := range decidedLine.FindAllStringSubmatch(string(text), -1) {
		decided = append(decided, row[1])
	}
	return decided
}

// root is the folder of the whole project.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// files lists what is committed, or would be with the next commit, by the end of its name; paths are relative to the root.
func files(t *testing.T, endings ...string) []string {
	t.Helper()
	var found []string
	for file := range strings.SplitSeq(string(command(t, "git", "ls-files", "-coz", "--exclude-standard", "--deduplicate")), "\x00") {
		if file == "" || !slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(file, e) }) {
			continue
		}
		if _, err := os.Stat(filepath.Join(root(t), file)); err == nil { // else it is deleted but not yet committed so
			found = append(found, file)
		}
	}
	if len(found) == 0 {
		t.Fatalf("no files that end in %v: is this a git checkout?", endings)
	}
	return found
}

// command runs in the root and gives what was printed.
func command(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = root(t)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return out
}
