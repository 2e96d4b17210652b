package message

import (
	"bytes"
	"encoding/json"
	"strings"
)

// ByHand says whether a person sent a message from a page, rather than a device. web/src/envelope.ts says the same.
func ByHand(source string, payload []byte) bool {
	if strings.HasSuffix(source, ":operator") { // the entity under whose name the operator sends
		return true
	}
	if !bytes.Contains(payload, []byte(`"page"`)) {
		return false // nearly always; this saves another look inside
	}
	var envelope struct{ Context struct{ By json.RawMessage } }
	return json.Unmarshal(payload, &envelope) == nil && string(envelope.Context.By) == `"page"`
}
