package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// trellisBin is the program under test: what `make build` leaves, or TRELLIS_BIN.
var trellisBin string

func TestMain(m *testing.M) {
	trellisBin = os.Getenv("TRELLIS_BIN")
	if trellisBin == "" {
		trellisBin = filepath.Join("..", "bin", "trellis")
	}
	trellisBin, _ = filepath.Abs(trellisBin)
	_ = os.Unsetenv("TRELLIS_BIN") // it is ours, not one of the program's settings
	if _, err := os.Stat(trellisBin); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: there is no program to test; make build leaves it:", err)
		os.Exit(1)
	}
	if out, err := exec.Command("./need").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s", out)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
