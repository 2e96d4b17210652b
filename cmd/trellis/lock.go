package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var errLocked = errors.New("another trellis is running")

// lockFolder makes sure that one server at a time uses the folder. The operating system frees the lock when we end, however we end.
func lockFolder(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep data in %s: %w", dir, err)
	}
	file, err := openLocked(filepath.Join(dir, "lock"))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%w on the folder %s: stop it first, or name another folder with --data", err, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot keep data in %s: %w", dir, err)
	}
	return func() { _ = file.Close() }, nil
}
