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

func TestAddressesOfAnyBroker(t *testing.T) {
	for name, tt := range map[string]struct {
		given string
		plain bool
		want  string
	}{
		"encrypted":                        {"mqtts://mqtt.x", false, "mqtts://mqtt.x:8883"},
		"with a port":                      {"mqtts://mqtt.x:443", false, "mqtts://mqtt.x:443"},
		"over WebSocket":                   {"wss://mqtt.x", false, "wss://mqtt.x/mqtt"},
		"over WebSocket, with a path":      {"wss://mqtt.x:8084/ws", false, "wss://mqtt.x:8084/ws"},
		"plain on this machine":            {"mqtt://localhost", false, "mqtt://localhost:1883"},
		"plain where that was asked for":   {"mqtt://homeassistant.local", true, "mqtt://homeassistant.local:1883"},
		"plain at a private address":       {"tcp://192.168.1.20:1884", true, "mqtt://192.168.1.20:1884"},
		"plain at an address laid over":    {"mqtt://100.100.1.2", true, "mqtt://100.100.1.2:1883"},
		"plain WebSocket":                  {"ws://broker:9001", true, "ws://broker:9001/mqtt"},
		"plain where that was not asked":   {"mqtt://192.168.1.20", false, ""},
		"plain at an address of the world": {"mqtt://8.8.8.8", true, ""},
		"a bare host":                      {"mqtt.x", false, ""},
		"a page":                           {"https://mqtt.x", false, ""},
		"a login in it":                    {"mqtts://me:secret@mqtt.x", false, ""},
		"a path over TCP":                  {"mqtts://mqtt.x/mqtt", false, ""},
		"no host":                          {"mqtts://", false, ""},
		"a question":                       {"wss://mqtt.x/mqtt?key=1", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := ParseBrokerAddress(tt.given, tt.plain)
			if (err != nil) != (tt.want == "") || (err == nil && u.String() != tt.want) {
				t.Errorf("%q is %v, %v; want %q", tt.given, u, err, tt.want)
			}
		})
	}
}
