package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The caps keep files and functions small enough to be read at one sitting.
const (
	fileCap     = 500 // lines; a file has fewer
	functionCap = 70  // lines; a function has fewer
	medianCap   = 14  // lines; half of the program's Go functions have no more
)

// generated files are nobody's to read.
func generated(file string) bool { return strings.HasSuffix(file, "_templ.go") }

func TestFilesAreShort(t *testing.T) {
	for _, file := range files(t, ".go", ".ts", ".templ", ".css", ".mjs") {
		if lines := bytes.Count(read(t, file), []byte("\n")); !generated(file) && lines >= fileCap {
			t.Errorf("%s: %d lines, should be under %d", file, lines, fileCap)
		}
	}
}

func TestGoFunctionsAreShort(t *testing.T) {
	var lengths []int
	for _, file := range files(t, ".go") {
		if generated(file) {
			continue
		}
		for _, f := range goFunctions(t, file, read(t, file)) {
			if f.lines >= functionCap {
				t.Errorf("%s:%d: %s has %d lines, should be under %d", file, f.at, f.name, f.lines, functionCap)
			}
			if !strings.HasSuffix(file, "_test.go") {
				lengths = append(lengths, f.lines)
			}
		}
	}
	slices.Sort(lengths)
	if median := lengths[len(lengths)/2]; median > medianCap {
		t.Errorf("the median of %d Go functions is %d lines, should be at most %d", len(lengths), median, medianCap)
	}
}

func TestScriptFunctionsAreShort(t *testing.T) {
	for _, file := range files(t, ".ts", ".mjs") {
		for _, f := range scriptFunctions(string(read(t, file))) {
			if f.lines >= functionCap {
				t.Errorf("%s:%d: function of %d lines, should be under %d: %s", file, f.at, f.lines, functionCap, f.name)
			}
		}
	}
}

// unfinished is a mark that says "later" without saying when. It is put together here so that this file has none.
var unfinished = regexp.MustCompile(`\b(` + "TO" + "DO|" + "FIX" + `ME)\b`)

func TestNothingIsMarkedUnfinished(t *testing.T) {
	for _, file := range files(t, "") {
		text := read(t, file)
		if bytes.IndexByte(text, 0) >= 0 || filepath.Base(file) == "package-lock.json" || filepath.Base(file) == "go.sum" {
			continue
		}
		for n, line := range bytes.Split(text, []byte("\n")) {
			if unfinished.Match(line) {
				t.Errorf("%s:%d: %s", file, n+1, bytes.TrimSpace(line))
			}
		}
	}
}

// function is one function and how many lines it takes, its first and last included.
type function struct {
	name      string
	at, lines int
}

// goFunctions finds the named functions; those inside others count as part of them.
func goFunctions(t *testing.T, file string, text []byte) []function {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return nil
	}
	var found []function
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			first, last := set.Position(f.Pos()).Line, set.Position(f.End()).Line
			found = append(found, function{f.Name.Name, first, last - first + 1})
		}
	}
	return found
}

var (
	// opensFunction is the end of a function's head: an arrow, or closed parameters with perhaps a type behind them.
	opensFunction = regexp.MustCompile(`(=>|\)(: .+)?) \{$`)
	// opensOther is what looks the same and is none: control flow, types, and the grouping of tests.
	opensOther = regexp.MustCompile(`^(\} )?(if|else|for|while|switch|catch|with|do|try|interface|type|class|describe)\b`)
)

// scriptFunctions finds functions by the indentation that the formatter enforces: a function ends at the first line that is
// indented as its head and starts with a closing brace. A head of several lines counts from its first.
func scriptFunctions(text string) []function {
	lines := strings.Split(text, "\n")
	var found []function
	for n, line := range lines {
		head := strings.TrimLeft(line, " \t")
		if !opensFunction.MatchString(line) || opensOther.MatchString(head) {
			continue
		}
		indent := line[:len(line)-len(head)]
		first := n
		if strings.HasPrefix(head, ")") {
			first = lineBefore(lines, n, indent)
			if opensOther.MatchString(strings.TrimSpace(lines[first])) {
				continue
			}
		}
		for last := n + 1; last < len(lines); last++ {
			if strings.HasPrefix(lines[last], indent+"}") {
				found = append(found, function{strings.TrimSpace(lines[first]), first + 1, last - first + 1})
				break
			}
		}
	}
	return found
}

// lineBefore finds where a head that closes its parameters on line n began.
func lineBefore(lines []string, n int, indent string) int {
	for first := n - 1; first >= 0; first-- {
		rest, same := strings.CutPrefix(lines[first], indent)
		if same && rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return first
		}
	}
	return n
}

// TestScriptFunctionsAreFound keeps the measure itself honest.
func TestScriptFunctionsAreFound(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []function
	}{
		"a function":        {"function a(b: number): string {\n  return '';\n}\n", []function{{"function a(b: number): string {", 1, 3}}},
		"an arrow":          {"const a = () => {\n  b();\n};\n", []function{{"const a = () => {", 1, 3}}},
		"a method":          {"class A {\n  b() {\n    c();\n  }\n}\n", []function{{"b() {", 2, 3}}},
		"a long head":       {"export function a(\n  b: B,\n): C {\n  d();\n}\n", []function{{"export function a(", 1, 5}}},
		"control flow":      {"if (a) {\n  b();\n} else if (c) {\n  d();\n}\n", nil},
		"a long condition":  {"  if (\n    a\n  ) {\n    b();\n  }\n", nil},
		"a group of tests":  {"describe('a', () => {\n  b();\n});\n", nil},
		"an object":         {"const a = {\n  b: 1,\n};\n", nil},
		"one in another":    {"function a() {\n  b(() => {\n    c();\n  });\n}\n", []function{{"function a() {", 1, 5}, {"b(() => {", 2, 3}}},
		"a type of objects": {"function a(): { b: C } {\n  d();\n}\n", []function{{"function a(): { b: C } {", 1, 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := scriptFunctions(tt.text); !slices.Equal(got, tt.want) {
				t.Errorf("found %v, want %v", got, tt.want)
			}
		})
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
