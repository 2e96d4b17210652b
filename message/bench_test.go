package message

import (
	"testing"
	"time"
)

const spoken = `{"msg_type":"publish","data":{"temperature":21.5,"humidity":48,"n":123456},"timestamp":"2026-05-01T12:00:00.123Z","tags":["flood"]}`

// BenchmarkNormalise measures what is done once for every publish, and BenchmarkReadings what its values cost.
func BenchmarkNormalise(b *testing.B) {
	from := Origin{Topic: "home/local/k/publish", Source: "home:local:shed", Entity: "shed", Received: time.Now()}
	known := func(string) bool { return false }
	b.ReportAllocs()
	for b.Loop() {
		Normalise([]byte(spoken), from, known)
	}
}

func BenchmarkReadings(b *testing.B) {
	said := Normalise([]byte(spoken), Origin{Entity: "shed", Received: time.Now()}, func(string) bool { return false })[0]
	b.ReportAllocs()
	for b.Loop() {
		Readings(said.Data)
	}
}

func BenchmarkDelivered(b *testing.B) {
	said := Normalise([]byte(spoken), Origin{Entity: "shed", Received: time.Now()}, func(string) bool { return false })[0]
	b.ReportAllocs()
	for b.Loop() {
		Delivered(said.Payload)
	}
}
