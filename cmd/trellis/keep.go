package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// keepFor is --keep; zero means for ever.
type keepFor time.Duration

// UnmarshalText reads a number of hours, days or weeks: 8760h, 90d, 12w.
func (k *keepFor) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "0" {
		*k = 0
		return nil
	}
	for suffix, unit := range map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		digits, is := strings.CutSuffix(s, suffix)
		if n, err := strconv.Atoi(digits); is && err == nil && n > 0 && n <= int(longestKept/unit) {
			*k = keepFor(time.Duration(n) * unit)
			return nil
		}
	}
	return fmt.Errorf("should be a number of hours, days or weeks such as 90d, at most 100 years, or 0 for ever, not %q", s)
}

const longestKept = 100 * 365 * 24 * time.Hour

// keepSize is --keep-size in bytes.
type keepSize int64

// leastSize is what a record needs to be of any use.
const leastSize = 16 << 20

// UnmarshalText reads a size: 500MiB, 2GiB, 1TiB, or a number of bytes.
func (k *keepSize) UnmarshalText(text []byte) error {
	s, unit := string(text), int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if digits, is := strings.CutSuffix(s, suffix); is {
			s, unit = digits, int64(1)<<(10*(i+1))
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n <= 0 || n > (1<<50)/unit || n*unit < leastSize {
		return fmt.Errorf("should be a size such as 2GiB, from 16MiB to 1024TiB, not %q", text)
	}
	*k = keepSize(n * unit)
	return nil
}
