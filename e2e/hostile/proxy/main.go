// Command proxy runs a hostile network for the browser tests: it prints its address and what it sees, takes what it is to
// do from its standard input, one line of JSON each, and ends with it.
//
//	go run ./e2e/hostile/proxy 127.0.0.1:8080 '{"Upgrade":"403"}'
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"trellis/e2e/hostile"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
}

func run() error {
	var bad hostile.Bad
	if err := json.Unmarshal([]byte(os.Args[2]), &bad); err != nil {
		return err
	}
	p, err := hostile.Start(os.Args[1], bad, func(what string) { fmt.Println("seen", what) })
	if err != nil {
		return err
	}
	defer p.Close()
	fmt.Println("listening", p.URL)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		bad = hostile.Bad{}
		if err := json.Unmarshal(lines.Bytes(), &bad); err != nil {
			return err
		}
		p.Set(bad)
		fmt.Println("set", lines.Text())
	}
	return lines.Err()
}
