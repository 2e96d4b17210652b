package message

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// ShapeError says what is wrong with a message that a program wants sent, in a sentence for whoever wrote the program.
type ShapeError string

func (e ShapeError) Error() string { return "not a message: " + string(e) }

// Check says whether a payload is one message object as it is documented. What comes over MQTT is taken in any shape; whoever
// asks for something to be sent later is told now.
func Check(payload []byte) error {
	var fields map[string]json.RawMessage
	switch {
	case !utf8.Valid(payload):
		return ShapeError("the bytes are not UTF-8")
	case tooDeep(payload):
		return ShapeError(fmt.Sprintf("it is nested deeper than %d levels", maxDepth))
	case json.Unmarshal(payload, &fields) != nil || fields == nil:
		return ShapeError("it should be one JSON object")
	}
	if _, there := fields["data"]; !there {
		return ShapeError("data is missing")
	}
	if !isText(fields["msg_type"]) || string(fields["msg_type"]) == `""` {
		return ShapeError(fmt.Sprintf("msg_type should be text such as publish or heartbeat, of at most %d bytes", maxNameText))
	}
	for _, name := range []string{"entity", "dest", "timestamp"} {
		if raw, there := fields[name]; there && string(raw) != "null" && !isText(raw) {
			return ShapeError(fmt.Sprintf("%s should be text of at most %d bytes", name, maxNameText))
		}
	}
	if !areTags(fields["tags"]) {
		return ShapeError(fmt.Sprintf("tags should be a list of at most %d texts", MaxTags))
	}
	return checkContext(fields["context"])
}

func checkContext(raw json.RawMessage) error {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return ShapeError("context should be an object")
	}
	if !areTags(fields["tags"]) {
		return ShapeError(fmt.Sprintf("context.tags should be a list of at most %d texts", MaxTags))
	}
	return nil
}

func isText(raw json.RawMessage) bool {
	var s *string
	return json.Unmarshal(raw, &s) == nil && s != nil && len(*s) <= maxNameText
}

func areTags(raw json.RawMessage) bool {
	if raw == nil || string(raw) == "null" {
		return true
	}
	var tags []*string
	if json.Unmarshal(raw, &tags) != nil || len(tags) > MaxTags {
		return false
	}
	for _, tag := range tags {
		if tag == nil || *tag == "" || len(*tag) > maxTagLen {
			return false
		}
	}
	return true
}
