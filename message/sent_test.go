package message

import (
	"errors"
	"strings"
	"testing"
)

func TestWhatIsSentIsCheckedWhole(t *testing.T) {
	for name, tt := range map[string]struct{ payload, wrong string }{
		"the documented least":        {`{"msg_type":"publish","data":{"t":1}}`, ""},
		"text as data":                {`{"msg_type":"publish","data":"on"}`, ""},
		"all of it":                   {`{"msg_type":"heartbeat","data":{},"tags":["a"],"timestamp":"2026-05-01T12:00:00Z","entity":null,"dest":"shed","context":{"tags":["b"],"wait":false},"new":1}`, ""},
		"nothing":                     {``, "one JSON object"},
		"null":                        {`null`, "one JSON object"},
		"a list of messages":          {`[{"msg_type":"publish","data":1}]`, "one JSON object"},
		"two objects":                 {`{"msg_type":"publish","data":1}{}`, "one JSON object"},
		"cut short":                   {`{"msg_type":"publish","data":`, "one JSON object"},
		"bytes":                       {"{\"msg_type\":\"publish\",\"data\":\"\xff\"}", "UTF-8"},
		"too deep":                    {`{"msg_type":"publish","data":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`, "nested deeper"},
		"no data":                     {`{"msg_type":"publish"}`, "data is missing"},
		"no type":                     {`{"data":1}`, "msg_type"},
		"an empty type":               {`{"msg_type":"","data":1}`, "msg_type"},
		"a type that is a number":     {`{"msg_type":7,"data":1}`, "msg_type"},
		"an addressee that is a list": {`{"msg_type":"publish","data":1,"dest":["a"]}`, "dest should be text"},
		"too many tags":               {`{"msg_type":"publish","data":1,"tags":["1","2","3","4","5","6","7","8","9","10","11"]}`, "tags should be"},
		"a tag that is null":          {`{"msg_type":"publish","data":1,"tags":[null]}`, "tags should be"},
		"tags that are text":          {`{"msg_type":"publish","data":1,"context":{"tags":"a"}}`, "context.tags"},
		"context that is text":        {`{"msg_type":"publish","data":1,"context":"a"}`, "context should be"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check([]byte(tt.payload))
			var shape ShapeError
			if tt.wrong == "" && err != nil || tt.wrong != "" && (!errors.As(err, &shape) || !strings.Contains(string(shape), tt.wrong)) {
				t.Errorf("said %v, want %q", err, tt.wrong)
			}
		})
	}
}
