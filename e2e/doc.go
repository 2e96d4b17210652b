// Package e2e tests bin/trellis from outside: documented clients, hostile ones, the command line, and what is left on the disk.
//
// It imports nothing of the product but history, to read the record. The browser's half is in the folder browser, written for
// Node's test runner; testdata/seed.py is the acceptance text: the documented Python sample, letter by letter.
// Everything runs on 127.0.0.1. Start at [start] in server_test.go.
package e2e
