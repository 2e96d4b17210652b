package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestAFileWithASecretIsNotOpenToOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("keeps no such bits")
	}
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	opens := func(mode os.FileMode) bool {
		t.Helper()
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		file, err := openPrivate(name)
		if err == nil {
			return file.Close() == nil
		}
		if !strings.Contains(err.Error(), "can be read by others") {
			t.Error(err)
		}
		return false
	}
	if !opens(0o600) || !opens(0o400) || opens(0o440) || opens(0o604) {
		t.Error("of our own")
	}
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(name))
	if !opens(0o440) || opens(0o444) {
		t.Error("of systemd")
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if os.Geteuid() != 0 {
		return // only root can give a file away
	}
	if err := os.Chown(name, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if !opens(0o440) || opens(0o444) {
		t.Error("of somebody else")
	}
}
