package mqttproxy

import (
	"net/url"
	"testing"
)

func TestUpstreamAddresses(t *testing.T) {
	for name, tt := range map[string]struct {
		service, mqtt, ws string
		want              []string
	}{
		"Tendrl's own":              {"https://app.tendrl.com", "", "", []string{"mqtts://mqtt.tendrl.com:443", "wss://mqtt-ws.tendrl.com/ws"}},
		"another service":           {"https://iot.example", "", "", []string{"wss://iot.example/ws"}},
		"one on this machine":       {"http://127.0.0.1:8080", "", "", []string{"ws://127.0.0.1:8080/ws"}},
		"as the pages print them":   {"https://x", "https://mqtt.x", "https://ws.x/ws", []string{"mqtts://mqtt.x:443", "wss://ws.x/ws"}},
		"bare hosts":                {"https://x", "mqtt.x", "ws.x", []string{"mqtts://mqtt.x:443", "wss://ws.x/ws"}},
		"schemes of their own":      {"https://x", "mqtts://mqtt.x", "wss://ws.x:8443/mqtt", []string{"mqtts://mqtt.x:8883", "wss://ws.x:8443/mqtt"}},
		"one of the two":            {"https://app.tendrl.com", "", "wss://ws.x/ws", []string{"wss://ws.x/ws"}},
		"plain on this machine":     {"https://x", "mqtt://localhost", "ws://[::1]:9001/", []string{"mqtt://localhost:1883", "ws://[::1]:9001/ws"}},
		"a port behind a bare host": {"https://x", "mqtt.x:8883", "", []string{"mqtts://mqtt.x:8883"}},
	} {
		t.Run(name, func(t *testing.T) {
			service, err := url.Parse(tt.service)
			if err != nil {
				t.Fatal(err)
			}
			got, err := UpstreamAddresses(service, tt.mqtt, tt.ws)
			if err != nil || len(got) != len(tt.want) {
				t.Fatalf("%v, %v", got, err)
			}
			for i, u := range got {
				if u.String() != tt.want[i] {
					t.Errorf("address %d is %s, want %s", i, u, tt.want[i])
				}
			}
		})
	}
	for _, wrong := range []string{"mqtt://mqtt.x", "tcp://10.0.0.1:1883", "mqtts://user:pass@mqtt.x", "mqtts://mqtt.x/path", "ftp://mqtt.x", "mqtts://", "mqtts://x?key=1", "wss://x/ws"} {
		if u, err := ParseMQTTAddress(wrong); err == nil {
			t.Errorf("%q is taken as %s", wrong, u)
		}
	}
	for _, wrong := range []string{"ws://ws.x/ws", "http://ws.x/ws", "mqtts://ws.x", "wss://", "wss://x/ws?key=1"} {
		if u, err := ParseSocketAddress(wrong); err == nil {
			t.Errorf("%q is taken as %s", wrong, u)
		}
	}
}
