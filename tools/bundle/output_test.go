package main

import (
	"bytes"
	"slices"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

const report = `{"outputs":{
	"static/dist/board-A.js":{"entryPoint":"web/src/board.ts","imports":[
		{"path":"static/dist/chunk-B.js","kind":"import-statement"},
		{"path":"static/dist/developer-C.js","kind":"dynamic-import"}]},
	"static/dist/chunk-B.js":{"imports":[]},
	"static/dist/developer-C.js":{"entryPoint":"web/src/view/developer.ts","imports":[{"path":"static/dist/chunk-B.js","kind":"import-statement"}]},
	"static/dist/trellis-D.css":{"entryPoint":"web/src/css/trellis.css"}}}`

func TestManifestNamesEntries(t *testing.T) {
	names, err := manifestOf(bundled{meta: report})
	if err != nil {
		t.Fatal(err)
	}
	if names["board.js"] != "board-A.js" || names["trellis.css"] != "trellis-D.css" {
		t.Errorf("manifest is %v", names)
	}
}

func TestAPageIsWeighedWithWhatItImports(t *testing.T) {
	m, err := bundled{meta: report}.report()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		later bool
		want  []string
	}{
		"at once":                  {false, []string{"board-A.js", "chunk-B.js"}},
		"with what comes in later": {true, []string{"board-A.js", "chunk-B.js", "developer-C.js"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := loaded(m, "web/src/board.ts", tt.later); !slices.Equal(got, tt.want) {
				t.Errorf("loaded %v, want %v", got, tt.want)
			}
		})
	}
}

func TestWhatBelongsToTheWorkerIsFoundUnderStatic(t *testing.T) {
	files := besideWorker([]api.OutputFile{
		{Path: "/d/hub.js.map", Contents: []byte("{}")},
		{Path: "/d/hub.js", Contents: []byte("//# sourceMappingURL=hub.js.map")},
	})
	if got := files[1]; got.Path != "/d/hub.js" || !bytes.Contains(got.Contents, []byte("=/static/hub-"+hash([]byte("{}"))+".js.map")) {
		t.Errorf("the worker is %s: %s", got.Path, got.Contents)
	}
}
