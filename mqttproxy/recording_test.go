package mqttproxy

import (
	"encoding/json"
	"testing"
	"time"
)

func TestARecordingIsToldAsItIs(t *testing.T) {
	at := time.Date(2026, 5, 1, 14, 2, 0, 123456789, time.UTC)
	for _, tt := range []struct {
		is   Recording
		want string
	}{
		{Recording{}, `{"record":{"why":""}}`},
		{Recording{Why: "full", Since: at, Lost: 12, From: at, To: at.Add(time.Second)},
			`{"record":{"why":"full","since":"2026-05-01T14:02:00.123Z","lost":12,"from":"2026-05-01T14:02:00.123Z","to":"2026-05-01T14:02:01.123Z"}}`},
	} {
		packet := recordingNotice(tt.is)
		payload := packet[len(packet)-len(tt.want):]
		if !json.Valid(payload) || string(payload) != tt.want {
			t.Errorf("%+v is told as %s", tt.is, packet)
		}
	}
}
