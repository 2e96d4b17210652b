package mqttproxy

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or, started again by a load test, plays the many clients in a process of their own.
func TestMain(m *testing.M) {
	if role := os.Getenv("MQTTPROXY_LOAD"); role != "" {
		playClients(role)
		return
	}
	goleak.VerifyTestMain(m)
}
