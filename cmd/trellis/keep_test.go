package main

import (
	"testing"
	"time"
)

func TestKeepIsRead(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "12w": 84 * 24 * time.Hour, "36h": 36 * time.Hour, "0": 0,
		"": -1, "90": -1, "d": -1, "-3d": -1, "1y": -1, "9999999d": -1, "1.5d": -1, "90 d": -1,
	} {
		var k keepFor
		if err := k.UnmarshalText([]byte(text)); (err != nil) != (want < 0) || (err == nil && time.Duration(k) != want) {
			t.Errorf("%q is %v, %v", text, time.Duration(k), err)
		}
	}
}

func TestKeepSizeIsRead(t *testing.T) {
	for text, want := range map[string]int64{
		"2GiB": 2 << 30, "500MiB": 500 << 20, "1TiB": 1 << 40, "16777216": 16 << 20, "20 MiB": 20 << 20,
		"": -1, "GiB": -1, "1KiB": -1, "-1GiB": -1, "2GB": -1, "99999999TiB": -1, "1.5GiB": -1,
	} {
		var k keepSize
		if err := k.UnmarshalText([]byte(text)); (err != nil) != (want < 0) || (err == nil && int64(k) != want) {
			t.Errorf("%q is %d, %v", text, k, err)
		}
	}
}
