package mqttproxy

import "time"

// rate is a token bucket in one number: the moment at which it would be full again.
type rate struct{ full time.Duration }

// take takes n tokens and says how long to wait before going on.
func (r *rate) take(now time.Duration, n, perSecond, burst int) time.Duration {
	each := time.Second / time.Duration(perSecond)
	r.full = max(r.full, now) + time.Duration(n)*each
	return max(0, r.full-now-time.Duration(burst)*each)
}
