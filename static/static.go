// Package static holds what the browser downloads: scripts, styles and icons, built by tools/bundle from web and embedded here.
//
// Names carry a hash of their content, so that a browser may keep a file for ever; only the worker keeps one name, since
// a second address would start a second worker beside the first. Start at [URL] and [Handler].
package static

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed all:dist
var embedded embed.FS

// dist is empty but for .gitkeep until tools/bundle has run; everything here then answers with 404.
var dist = func() fs.FS {
	sub, err := fs.Sub(embedded, "dist")
	if err != nil {
		panic("static: " + err.Error())
	}
	return sub
}()

// Prefix is where [Handler] expects to be mounted.
const Prefix = "/static/"

const workerFile = "hub.js"

var manifest = sync.OnceValue(func() map[string]string { return readManifest(dist) })

func readManifest(files fs.FS) map[string]string {
	names := map[string]string{}
	raw, err := fs.ReadFile(files, "manifest.json")
	if err != nil || json.Unmarshal(raw, &names) != nil {
		return map[string]string{}
	}
	return names
}

// Built says whether tools/bundle has run; a program without its pages should say so when it starts.
func Built() bool { return len(manifest()) > 0 }

// URL is the address of a file by its plain name: "board.js" gives "/static/board-3FQ2A7KX.js".
func URL(name string) string {
	if hashed, ok := manifest()[name]; ok {
		return Prefix + hashed
	}
	return Prefix + name
}

// Handler answers GET /static/NAME. A name with a hash never changes its content, so it is cached for a year.
func Handler() http.Handler { return handler(dist) }

func handler(files fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, Prefix)
		if !ok || !servable(name) {
			http.NotFound(w, r)
			return
		}
		serve(w, r, files, name, "public, max-age=31536000, immutable")
	})
}

// Worker answers GET /hub.js. Its name is stable, so the browser must ask each time whether it changed.
func Worker() http.Handler { return worker(dist) }

func worker(files fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve(w, r, files, workerFile, "no-cache")
	})
}

// servable keeps what is not for browsers inside: the manifest, compressed copies under their own name, dot files.
func servable(name string) bool {
	return name == path.Base(name) && !strings.HasPrefix(name, ".") && name != "manifest.json" &&
		name != workerFile && contentTypes[path.Ext(name)] != ""
}
