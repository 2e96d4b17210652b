package static

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// contentTypes is the whole list, so that the answer does not depend on what the machine has in /etc/mime.types.
var contentTypes = map[string]string{
	".js":  "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml",
	".map": "application/json",
	".txt": "text/plain; charset=utf-8",
	".png": "image/png",
}

// serve sends a file, in the smallest form that was made of it and that the browser takes.
func serve(w http.ResponseWriter, r *http.Request, files fs.FS, name, cache string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
		return
	}
	body, err := fs.ReadFile(files, name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	sum := sha256.Sum256(body)
	h := w.Header()
	h.Set("Content-Type", contentTypes[path.Ext(name)])
	h.Set("Cache-Control", cache)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept-Encoding")
	encoding, sent := smallest(files, name, r.Header.Get("Accept-Encoding"), body)
	tag := base64.RawURLEncoding.EncodeToString(sum[:12])
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
		tag += "-" + encoding
	}
	h.Set("ETag", strconv.Quote(tag))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(sent))
}

// smallest picks among the copies that tools/bundle made; sources stay as they are.
func smallest(files fs.FS, name, accepted string, body []byte) (string, []byte) {
	for _, c := range []struct{ encoding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !accepts(accepted, c.encoding) {
			continue
		}
		if packed, err := fs.ReadFile(files, name+c.suffix); err == nil {
			return c.encoding, packed
		}
	}
	return "", body
}

// accepts reads an Accept-Encoding list; a weight of zero is a refusal.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		weight, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
		if !found {
			return true
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
		return err == nil && q > 0
	}
	return false
}
