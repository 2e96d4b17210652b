package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// private looks at a file with a secret in it, and refuses one that others on this machine can read. Windows keeps no such bits, and what
// is no file, such as a pipe, has none that say anything.
func private(file string) (os.FileInfo, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&openTo(file) != 0 && info.Mode().IsRegular() && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s can be read by others (mode %04o): make it 0600", file, mode)
	}
	return info, nil
}

// openTo is whom a file with a secret must not be open to. Systemd writes who may read a credential behind the rights of the group.
func openTo(file string) os.FileMode {
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" && filepath.Dir(file) == filepath.Clean(dir) {
		return 0o007
	}
	return 0o077
}
