// Command trellis puts IoT messages on any screen. `trellis serve` is the whole service on one machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // hours of a button are somebody's, also on a machine that knows no zones

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "dev"

// Exit codes: wrong words on the command line, in the environment or in a file are the caller's to mend (2); everything else is 1.
const (
	exitFailed = 1
	exitUsage  = 2
)

// commands is the command line. Every flag has the same name as environment (TRELLIS_…) and in the file of --config.
type commands struct {
	Config string `help:"A JSON file with the same names as the flags: {\"listen\": \":8080\"}." type:"path" placeholder:"FILE"`

	Serve   serveCommand   `cmd:"" help:"Run the service."`
	Key     keyCommands    `cmd:"" help:"Add, list and withdraw access keys. Works beside a running server and without one."`
	Link    linkCommand    `cmd:"" help:"Print a new one-time link that signs the operator in."`
	Watch   watchCommand   `cmd:"" help:"In front of another service: list its keys held here, and listen with one for good."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// console is where a command writes: what was asked for, and everything else.
type console struct{ out, errs io.Writer }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends us at once
	code := run(ctx, os.Args[1:], console{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, con console) int {
	var cli commands
	exited := -1
	parser := newParser(&cli, con, func(code int) { exited = code })
	if err := useFile(parser, args); err != nil {
		return refuse(con, exitUsage, err)
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help has been printed
	}
	if err != nil {
		return refuse(con, exitUsage, err)
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(con)
	err = parsed.Run()
	var usage usageError
	switch {
	case errors.As(err, &usage):
		return refuse(con, exitUsage, err)
	case err != nil:
		return refuse(con, exitFailed, err)
	}
	return 0
}

func newParser(cli *commands, con console, exit func(code int)) *kong.Kong {
	parser, err := kong.New(cli,
		kong.Name("trellis"),
		kong.Description("Your devices' messages, live on any screen."),
		kong.DefaultEnvars("TRELLIS"),
		kong.Writers(con.out, con.errs),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Resolvers(),
	)
	if err != nil {
		panic(err) // the struct above is wrong
	}
	return parser
}

// usageError is an error in what the caller wrote.
type usageError struct{ error }

func wrongUse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// refuse prints one line.
func refuse(con console, code int, err error) int {
	_, _ = fmt.Fprintln(con.errs, "trellis:", strings.ReplaceAll(err.Error(), "\n", "; "))
	return code
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(con console) error {
	_, err := fmt.Fprintln(con.out, "trellis", version)
	return err
}

// folder is the one place where everything is kept.
type folder struct {
	Data string `help:"The folder for all state." default:"./data" type:"path" placeholder:"DIR"`
}

// account says whose service this is; both are part of every key's name and of every topic.
type account struct {
	Account string `help:"The account that this server's keys belong to." default:"home"`
	Region  string `help:"The region in their names." default:"local"`
}

// expiry turns --expires into a time; nothing means no end.
func expiry(d time.Duration, now time.Time) (time.Time, error) {
	if d < 0 {
		return time.Time{}, wrongUse("--expires=%s: a key cannot end before it begins", d)
	}
	if d == 0 {
		return time.Time{}, nil
	}
	return now.Add(d), nil
}
