package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
)

// numbers gathers what others have counted, whenever somebody asks for it.
type numbers struct{ s *Server }

// Describe says nothing beforehand: which numbers there are depends on what stands behind the server.
func (numbers) Describe(chan<- *prometheus.Desc) {}

// Collect asks everybody for their numbers.
func (n numbers) Collect(to chan<- prometheus.Metric) {
	s, c := n.s, n.s.Counted
	pages, checks := s.pipes.Stats(), s.checks.Stats()
	all := append(stateNumbers(s), pipeNumbers(pages, checks)...)
	dropped := map[string]uint64{}
	if c.Hub != nil {
		found := c.Hub()
		found.Panics += pages.Panics + checks.Panics
		all = append(all, hubNumbers(found, dropped)...)
	}
	if c.Record != nil {
		found := c.Record()
		all = append(all, recordNumbers(found)...)
		about := prometheus.NewDesc("trellis_record_duration_seconds", "How long transactions took that recorded messages, the wait for the disk included.", nil, nil)
		to <- prometheus.MustNewConstSummary(about, found.Batches, found.Took.Seconds(), nil)
	}
	if c.Outbox != nil {
		all = append(all, outboxNumbers(c.Outbox()))
	}
	if c.Devices != nil {
		all = append(all, deviceNumbers(c.Devices(), dropped)...)
	}
	if c.Panics != nil {
		all = append(all, counter("trellis_message_panics_total", "Messages and device connections that hit a mistake in the program and were given up alone.", c.Panics()))
	}
	if s.Front != nil && s.Front.Links != nil {
		all = append(all, linkNumbers(s.Front.Links(), time.Now(), dropped)...)
	}
	if s.Front != nil && s.Front.Asked != nil {
		all = append(all, askedNumbers(s.Front.Asked()))
	}
	all = append(all, by(prometheus.CounterValue, "trellis_messages_dropped_total", "Messages that were lost on their way here, by the reason.", "reason", dropped))
	for _, f := range all {
		f.send(to)
	}
}

// stateNumbers say the same as /healthz and /readyz.
func stateNumbers(s *Server) []family {
	now, recorded := s.healthNow()
	one := map[bool]int{true: 1}
	return []family{
		by(prometheus.GaugeValue, "trellis_build_info", "The version that runs.", "version", map[string]int{s.Counted.Version: 1}),
		gauge("trellis_healthy", "Whether messages are taken and recorded; /healthz says the same.", one[recorded]),
		gauge("trellis_ready", "Whether visitors may be sent here; /readyz says the same.", one[now.Status == statusOK]),
	}
}

func pipeNumbers(pages, checks mqttproxy.PipesStats) []family {
	limited := map[string]uint64{}
	for limit, n := range pages.Limited {
		limited[limit] = n + checks.Limited[limit]
	}
	return []family{
		by(prometheus.GaugeValue, "trellis_page_pipes", "Pages that come by a pipe, by the way that their bytes come down.", "way", pages.Open),
		gauge("trellis_page_pipe_buffered_bytes", "Bytes that are kept for pages until they have them.", int(pages.Buffered)),
		by(prometheus.CounterValue, "trellis_page_pipes_limited_total", "What was refused to pages and checks of the connection because there was too much of it, by the limit.", "limit", limited),
	}
}

func hubNumbers(h mqttproxy.Stats, dropped map[string]uint64) []family {
	dropped["page_behind"] = h.Dropped
	return []family{
		gauge("trellis_page_sessions", "Sessions of pages that are open, by a pipe or not.", h.Sessions),
		gauge("trellis_messages_kept", "Messages that are kept to be shown to pages that come.", h.Kept),
		counter("trellis_messages_published_total", "Messages that were handed to pages.", h.Published),
		counter("trellis_messages_delivered_total", "The same, counted once for each page that a message was written to.", h.Delivered),
		by(prometheus.CounterValue, "trellis_page_messages_total", "Messages that pages sent, by what became of them.", "result",
			map[string]uint64{"accepted": h.Accepted, "refused": h.Refused}),
		counter("trellis_page_panics_total", "Sessions of pages that hit a mistake in the program and were ended alone.", h.Panics),
	}
}

func recordNumbers(r history.Stats) []family {
	return []family{
		counter("trellis_record_messages_total", "Messages that were recorded.", r.Messages),
		counter("trellis_record_failures_total", "Transactions that could not be recorded; their messages wait.", r.Failed),
		counter("trellis_record_unread_total", "Messages that are recorded without their readings: reading them failed.", r.Unread),
	}
}

func outboxNumbers(o mqttproxy.OutboxStats) family {
	return by(prometheus.CounterValue, "trellis_outbox_messages_total", "Messages that programs left to be sent, by what became of them.", "result",
		map[string]uint64{"sent": o.Sent, "expired": o.Expired, "refused": o.Refused})
}

func deviceNumbers(d DeviceStats, dropped map[string]uint64) []family {
	dropped["record_behind"], dropped["undeliverable"], dropped["unclaimed"] = d.DroppedQoS0, d.Undeliverable, d.Unclaimed
	return []family{
		gauge("trellis_device_connections", "Devices and programs that are connected.", d.Connections),
		by(prometheus.CounterValue, "trellis_device_connections_total", "Connections of devices and programs, by whether they were let in.", "result",
			map[string]uint64{"accepted": d.Accepted, "refused": d.Refused}),
	}
}

func linkNumbers(l mqttproxy.UplinksStats, now time.Time, dropped map[string]uint64) []family {
	dropped["inbox_full"], dropped["not_asked_for"] = l.Dropped, l.Strays
	states := map[string]int{"up": l.Up, "connecting": l.Connecting}
	for _, why := range mqttproxy.Whys {
		states[why.Word()] = l.Down[why]
	}
	longest := time.Duration(0)
	if !l.DownSince.IsZero() {
		longest = max(0, now.Sub(l.DownSince))
	}
	return []family{
		by(prometheus.GaugeValue, "trellis_upstream_links", "Links to the service's broker that are needed: up, connecting, or down for a reason.", "state", states),
		gauge("trellis_upstream_longest_down_seconds", "For how long the link has been down that has been so longest; 0 if none is.", int(longest/time.Second)),
		gauge("trellis_upstream_messages_waiting", "Messages that came from the service and are not recorded yet.", l.Waiting),
		counter("trellis_upstream_connections_total", "Connections to the service's broker that came up.", l.Connected),
		counter("trellis_upstream_connections_lost_total", "Those that were lost.", l.Lost),
		counter("trellis_upstream_fights_total", "Times that somebody else turned out to use the same name there.", l.Fights),
		counter("trellis_upstream_messages_received_total", "Messages that came from the service.", l.Received),
		counter("trellis_upstream_echoes_total", "Of them, what pages here had sent.", l.Echoes),
		by(prometheus.CounterValue, "trellis_upstream_published_total", "Messages of pages for the service, by what became of them.", "result",
			map[string]uint64{"acknowledged": l.Acknowledged, "sent": l.Sent, "unsure": l.Unsure, "not_sent": l.NotSent}),
	}
}

func askedNumbers(a access.Asked) family {
	values := map[string]uint64{}
	for answer, n := range a.Counts {
		values[string(answer)] = n
	}
	return by(prometheus.CounterValue, "trellis_claims_asked_total", "Questions to the service about a key, by what came of them.", "result", values)
}
