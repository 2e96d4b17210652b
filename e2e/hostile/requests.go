package hostile

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// forward hands a plain request on, and its answer back, doing to both what this network does.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, bad Bad) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if bad.MaxBody > 0 && len(body) > bad.MaxBody {
		http.Error(w, "That is too large for this network.", http.StatusRequestEntityTooLarge)
		return
	}
	q := request{Request: r, proxy: p, body: string(body), bad: bad}
	if strings.HasSuffix(r.URL.Path, "/live/up") {
		q.upload = p.uploads.Add(1)
	}
	if old, known := p.cached(q); known {
		old.give(w)
		return
	}
	if q.upload > 0 && p.misplaced(q) {
		panic(http.ErrAbortHandler)
	}
	answer, err := q.ask(r.Context())
	if err != nil {
		http.Error(w, "no answer from the server", http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	if q.upload > 0 && p.lost(q) {
		panic(http.ErrAbortHandler)
	}
	if q.keeps(answer) {
		p.remember(q, answer).give(w)
		return
	}
	from, err := keep(r, bad, answer.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	if bad.Strip {
		strip(w.Header(), "X-Accel-Buffering", "Cache-Control", "Permissions-Policy", "Cross-Origin-Opener-Policy", "Referrer-Policy")
	}
	w.WriteHeader(answer.StatusCode)
	pass(w, from, holds(bad, r, answer))
}

// request is one whole request, which can be sent on as often as this network likes.
type request struct {
	*http.Request
	proxy  *Proxy
	body   string
	bad    Bad
	upload int64 // which upload of a pipe it is; 0 means none
}

func (q request) ask(ctx context.Context) (*http.Response, error) {
	out := q.Clone(ctx)
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", q.proxy.to, ""
	out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(strings.NewReader(q.body)), int64(len(q.body)), nil
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(q.body)), nil }
	if q.bad.Strip {
		strip(out.Header, "Accept", "Accept-Language", "Cache-Control", "Pragma", "Priority", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")
	}
	return q.proxy.upward.RoundTrip(out)
}

// send asks and takes no interest in the answer.
func (q request) send() {
	answer, err := q.ask(context.WithoutCancel(q.Context()))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
}

func strip(h http.Header, names ...string) {
	for _, name := range names {
		h.Del(name)
	}
}

// remembered is what a cache has of an answer.
type remembered struct {
	header http.Header
	status int
	body   []byte
}

// key is what a careless cache looks at: headers are not among it.
func (q request) key() string { return fmt.Sprint(q.URL.Path, "\n", q.body) }

func (p *Proxy) cached(q request) (remembered, bool) {
	if q.bad.Cache == "" || q.Method != http.MethodPost {
		return remembered{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old, known := p.kept[q.key()]
	return old, known
}

// keeps says whether a cache would keep this answer.
func (q request) keeps(answer *http.Response) bool {
	may := q.bad.Cache == "rude" || !strings.Contains(answer.Header.Get("Cache-Control"), "no-store")
	return q.bad.Cache != "" && q.Method == http.MethodPost && may
}

// remember reads an answer whole, as a cache does.
func (p *Proxy) remember(q request, answer *http.Response) remembered {
	body, _ := io.ReadAll(answer.Body)
	r := remembered{answer.Header, answer.StatusCode, body}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept[q.key()] = r
	return r
}

func (r remembered) give(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body)
}
