package broker

import "time"

// Limits bound what one connection, one key and the world can make us keep or do. Zero means the default.
type Limits struct {
	MaxPacket     int           // largest packet of a device, and largest payload of Publish; 128 KiB
	MaxConnect    int           // largest CONNECT, SUBSCRIBE and UNSUBSCRIBE; 8 KiB
	ConnectWithin time.Duration // from accepting a connection to its whole CONNECT; 5 s
	TopicLevels   int           // 32
	TopicBytes    int           // 1024
	Filters       int           // granted filters per connection; 100
	UnfinishedTwo int           // QoS 2 publishes without PUBREL per connection; 1024
	Rate          int           // publishes a second per connection before reading is slowed; 100
	Burst         int           // 200

	HalfOpen        int // connections without an accepted CONNECT; 1024
	HalfOpenAddress int // the same from one address (IPv6: from one /64); 20
	Connections     int // 10,000
	PerKey          int // connections of one key; 64
	SessionsPerKey  int // persistent sessions of one key, present and absent; 16

	MaxStore   int64         // bytes JetStream may keep on disk; 8 GiB
	MaxMemory  int64         // bytes JetStream may keep in memory; 64 MiB
	SessionAge time.Duration // how long the queue of an absent session is kept; 30 days
	InFlight   int           // QoS 1 and 2 messages on their way to one subscription; 128
	Stalled    time.Duration // how long a device may accept nothing before it is cut off; 30 s
}

// or gives v, or the default where v is zero.
func or[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}

func (l Limits) withDefaults() Limits {
	return Limits{
		MaxPacket:     or(l.MaxPacket, 128<<10),
		MaxConnect:    or(l.MaxConnect, 8<<10),
		ConnectWithin: or(l.ConnectWithin, 5*time.Second),
		TopicLevels:   or(l.TopicLevels, 32),
		TopicBytes:    or(l.TopicBytes, 1024),
		Filters:       or(l.Filters, 100),
		UnfinishedTwo: or(l.UnfinishedTwo, 1024),
		Rate:          or(l.Rate, 100),
		Burst:         or(l.Burst, 200),

		HalfOpen:        or(l.HalfOpen, 1024),
		HalfOpenAddress: or(l.HalfOpenAddress, 20),
		Connections:     or(l.Connections, 10_000),
		PerKey:          or(l.PerKey, 64),
		SessionsPerKey:  or(l.SessionsPerKey, 16),

		MaxStore:   or(l.MaxStore, 8<<30),
		MaxMemory:  or(l.MaxMemory, 64<<20),
		SessionAge: or(l.SessionAge, 30*24*time.Hour),
		InFlight:   or(l.InFlight, 128),
		Stalled:    or(l.Stalled, 30*time.Second),
	}
}
