//go:build unix

package main

import (
	"os"
	"syscall"
)

// ours says whether the user that we run as owns a file.
func ours(info os.FileInfo) bool {
	of, known := info.Sys().(*syscall.Stat_t)
	return !known || int(of.Uid) == os.Geteuid()
}
