package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// openPrivate opens a file with a secret in it, and refuses one that others on this machine can read. Windows keeps no such bits, and a pipe is
// made by whoever starts us.
func openPrivate(name string) (*os.File, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if mode := info.Mode().Perm(); mode&openTo(name, info) != 0 && info.Mode().IsRegular() && runtime.GOOS != "windows" {
		_ = file.Close()
		return nil, fmt.Errorf("%s can be read by others (mode %04o): make it 0600, or 0440 where somebody else owns it", name, mode)
	}
	return file, nil
}

// openTo is whom a file with a secret must not be open to. One that somebody else owns is given to us by its group: so does Kubernetes (fsGroup).
// Systemd writes who may read a credential behind the rights of the group.
func openTo(name string, info os.FileInfo) os.FileMode {
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" && filepath.Dir(name) == filepath.Clean(dir) || !ours(info) {
		return 0o007
	}
	return 0o077
}
