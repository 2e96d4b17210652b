package e2e

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"trellis/e2e/wire"
)

// sample runs the documented Python sample with this key.
func (s *server) sample(k key, transport string) *program {
	s.t.Helper()
	address := s.listen
	if transport == "tcp" {
		address = s.mqtt
	}
	host, port, err := net.SplitHostPort(address)
	must(s.t, err)
	return run(s.t, "/usr/bin/python3", []string{"TRELLIS_KEY=" + k.Key, "PYTHONUNBUFFERED=1", "PYTHONIOENCODING=utf-8"},
		"testdata/run_seed.py", host, port, s.url+"/api/claims", transport)
}

func TestTheDocumentedPythonSampleRuns(t *testing.T) {
	s := start(t)
	for _, transport := range []string{"websockets", "tcp"} {
		t.Run("over "+transport, func(t *testing.T) {
			s := s.in(t)
			k, other := s.addKey("greenhouse-"+transport), s.addKey("phone-"+transport)
			observer := s.device(k, "#observer")
			must(t, observer.Subscribe(1, k.topic("publish")))

			python := s.sample(k, transport)
			if python.out.wait("Connected successfully", prompt, python.gone) == nil {
				t.Fatalf("the sample did not connect.\nstdout: %s\nstderr: %s", python.out, python.errs)
			}

			seen, err := observer.Receive(prompt)
			if err != nil {
				t.Fatalf("the sample's publish was not seen: %v", err)
			}
			checkSample(t, opened(t, seen.Payload))

			// The sample subscribes only after its CONNACK, at QoS 0: until then a message to it has nowhere to go.
			sender := s.device(other, "")
			printed := func() bool { return strings.Contains(python.out.String(), "Temperature reading: 19.5°C") }
			for try := 0; try < 40 && !printed(); try++ {
				must(t, sender.Publish(wire.Message{Topic: other.topic("publish"), QoS: 1, Payload: to(k.Entity, `{"temperature":19.5}`)}))
				python.out.wait("Temperature reading: 19.5°C", prompt/40, python.gone)
			}
			if !printed() {
				t.Errorf("a message to the sample's entity was not printed.\nstdout: %s\nstderr: %s", python.out, python.errs)
			}
			if records := recorded(t, s.data, k.topic("publish"), 1); len(records) != 1 {
				t.Errorf("the sample's publish has %d records, want 1", len(records))
			} else {
				checkSample(t, opened(t, records[0].Payload))
			}
		})
	}
}

// checkSample holds a payload to what the documented sample publishes.
func checkSample(t *testing.T, e envelope) {
	t.Helper()
	var data map[string]float64
	if err := json.Unmarshal(e.Data, &data); err != nil || data["temperature"] != 25.5 || data["humidity"] != 60 {
		t.Errorf("data = %s (%v), want the sample's temperature and humidity", e.Data, err)
	}
	if e.Entity != "smart_home:living_room:temp_sensor" || strings.Join(e.Tags, " ") != "sensor environment" {
		t.Errorf("entity %q, tags %q: not what the sample sent", e.Entity, e.Tags)
	}
}
