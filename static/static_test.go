package static

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var built = fstest.MapFS{
	"manifest.json":     {Data: []byte(`{"board.js":"board-AB12.js"}`)},
	"board-AB12.js":     {Data: []byte("let board")},
	"board-AB12.js.br":  {Data: []byte("packed br")},
	"board-AB12.js.gz":  {Data: []byte("packed gz")},
	"board-AB12.js.map": {Data: []byte("{}")},
	"hub.js":            {Data: []byte("let hub")},
	".gitkeep":          {},
}

func TestFiles(t *testing.T) {
	for name, tt := range map[string]struct {
		path, accept string
		code         int
		body, cache  string
	}{
		"a hashed name is kept for a year":       {"/static/board-AB12.js", "", 200, "let board", "public, max-age=31536000, immutable"},
		"brotli where the browser takes it":      {"/static/board-AB12.js", "gzip, deflate, br", 200, "packed br", "public, max-age=31536000, immutable"},
		"gzip when brotli is refused":            {"/static/board-AB12.js", "gzip, br;q=0", 200, "packed gz", "public, max-age=31536000, immutable"},
		"a source map has no packed copy":        {"/static/board-AB12.js.map", "br", 200, "{}", "public, max-age=31536000, immutable"},
		"the manifest is not for browsers":       {"/static/manifest.json", "", 404, "", ""},
		"dot files are not for browsers":         {"/static/.gitkeep", "", 404, "", ""},
		"packed copies have no address":          {"/static/board-AB12.js.br", "", 404, "", ""},
		"the worker has one address only":        {"/static/hub.js", "", 404, "", ""},
		"a name that does not exist":             {"/static/board.js", "", 404, "", ""},
		"no way out of the folder":               {"/static/../static.go", "", 404, "", ""},
		"nothing is served outside of /static/":  {"/other/board-AB12.js", "", 404, "", ""},
		"an empty name is not a directory index": {"/static/", "", 404, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := get(handler(built), tt.path, tt.accept, "")
			if got.Code != tt.code {
				t.Fatalf("GET %s = %d, want %d", tt.path, got.Code, tt.code)
			}
			if tt.code == http.StatusOK && got.Body.String() != tt.body {
				t.Errorf("body %q, want %q", got.Body, tt.body)
			}
			if tt.cache != "" && got.Header().Get("Cache-Control") != tt.cache {
				t.Errorf("Cache-Control %q, want %q", got.Header().Get("Cache-Control"), tt.cache)
			}
		})
	}
}

func TestTheWorkerIsAskedForEachTimeAndSentOnce(t *testing.T) {
	first := get(worker(built), "/hub.js", "", "")
	if first.Code != http.StatusOK || first.Header().Get("Cache-Control") != "no-cache" {
		t.Fatalf("GET /hub.js = %d, %v", first.Code, first.Header())
	}
	again := get(worker(built), "/hub.js", "", first.Header().Get("ETag"))
	if again.Code != http.StatusNotModified {
		t.Errorf("asked again with its ETag: %d, want 304", again.Code)
	}
}

func TestNamesWithoutABuild(t *testing.T) {
	if names := readManifest(fstest.MapFS{".gitkeep": {}}); len(names) != 0 {
		t.Errorf("manifest of an empty folder: %v", names)
	}
	if got := readManifest(built)["board.js"]; got != "board-AB12.js" {
		t.Errorf("board.js is %q", got)
	}
}

func get(h http.Handler, path, accept, etag string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://trellis.test/", nil)
	r.URL.Path = path
	r.Header.Set("Accept-Encoding", accept)
	r.Header.Set("If-None-Match", etag)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
