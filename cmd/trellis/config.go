package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// useFile makes the values of the --config file the parser's defaults. It must know the file before the parser runs,
// since the parser resolves flags as it goes.
func useFile(parser *kong.Kong, args []string) error {
	file := os.Getenv("TRELLIS_CONFIG")
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if value, is := strings.CutPrefix(arg, "--config="); is {
			file = value
		} else if arg == "--config" && i+1 < len(args) {
			file = args[i+1]
		}
	}
	if file == "" {
		return nil
	}
	resolver, err := readFile(kong.ExpandPath(file))
	if err != nil {
		return err
	}
	if err := resolver.Validate(parser.Model); err != nil {
		return err
	}
	return kong.Resolvers(resolver).Apply(parser)
}

// fileValues are the settings of one file, by flag name.
type fileValues struct {
	file   string
	values map[string]any
}

func readFile(file string) (*fileValues, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	f := &fileValues{file: file}
	var wrong *json.SyntaxError
	if err := json.Unmarshal(content, &f.values); errors.As(err, &wrong) {
		line := 1 + strings.Count(string(content[:wrong.Offset]), "\n")
		return nil, fmt.Errorf("%s line %d: %w", file, line, err)
	} else if err != nil {
		return nil, fmt.Errorf("%s: should be one JSON object of settings: %w", file, err)
	}
	return f, nil
}

// Validate refuses names that are no flag of any command, so that a slip of the pen is not a silent default.
func (f *fileValues) Validate(app *kong.Application) error {
	known := map[string]bool{}
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		for _, flag := range n.Flags {
			known[flag.Name] = true
		}
		for _, child := range n.Children {
			visit(child)
		}
	}
	visit(app.Node)
	for name := range f.values {
		if !known[name] || name == "help" || name == "config" {
			return fmt.Errorf("%s: %q is not a setting", f.file, name)
		}
	}
	return nil
}

// Resolve answers the parser: nil where the file says nothing.
func (f *fileValues) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil // the environment is nearer to the caller than a file
		}
	}
	switch value := f.values[flag.Name].(type) {
	case nil, string, bool:
		return value, nil
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64), nil
	case []any: // a list, such as that of --trusted-proxy
		return value, nil
	default:
		return nil, fmt.Errorf("%s: %q should be a text in quotes or a number", f.file, flag.Name)
	}
}
