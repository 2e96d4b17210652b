package broker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"trellis/access"
)

// ServeConn serves one device over TCP or anything that behaves like it, and blocks until the connection is over.
// It gives nil when the device took its leave by DISCONNECT, else the reason. It always closes device.
func (b *Broker) ServeConn(ctx context.Context, device net.Conn) error {
	return b.ServeFrom(ctx, device, addressOf(device))
}

// ServeFrom is ServeConn for a device whose address is not that of the connection, which may be a proxy's.
// The zero address is counted with nobody's.
func (b *Broker) ServeFrom(ctx context.Context, conn net.Conn, from netip.Addr) (reason error) {
	device := newLine(conn)
	defer device.Close()
	v, oldest, err := b.door.enter(device, from)
	if err != nil {
		b.counts.refused.Add(1)
		b.strangers.refused(err)
		return err
	}
	defer b.door.leave(v)
	defer device.Close() // who has not left yet is waited for by Close and counts for its key
	if oldest != nil {
		oldest.end(ErrCrowdedOut)
	}
	stop := context.AfterFunc(ctx, func() { v.end(ErrStopping) })
	defer stop()
	defer func() {
		if caught := recover(); caught != nil {
			reason = b.fault(caught)
			v.end(reason)
		}
	}()

	began := time.Now()
	s, err := b.admit(ctx, v)
	if err != nil {
		return b.refuse(ctx, v, v.why(err))
	}
	if err := v.begin(s); err != nil {
		s.end(err)
	}
	b.counts.accepted.Add(1)
	b.log.DebugContext(ctx, "device connected", "grant", s.grant, "client", s.client, "remote", from)
	reason = s.serve(b)
	b.told(ctx, s, from, reason, time.Since(began))
	return reason
}

// admit takes a connection from its first byte to an accepted session.
func (b *Broker) admit(ctx context.Context, v *visit) (*session, error) {
	v.device.SetDeadline(time.Now().Add(b.limits.ConnectWithin))
	s := newSession(v.device, b.limits, b.hold)
	c, err := readConnect(&s.source, b.limits)
	if err != nil {
		return nil, err
	}
	ended := b.ended.Load()
	s.grant, err = b.login(c)
	if err != nil {
		return nil, err
	}
	v.holder, s.client, s.holdsWill = s.grant, c.client, c.will != nil
	if err := c.check(s.grant, b.limits); err != nil {
		return nil, err
	}
	inner, fresh := c.innerID(s.grant), false
	if !c.clean {
		if fresh, err = b.lasting.take(s.grant, inner); err != nil {
			return nil, err
		}
	}
	err = b.seat(ctx, v, s, c, ended)
	switch accepted := s.upstream != nil; {
	case c.clean && accepted, fresh && !accepted:
		b.lasting.drop(inner) // nats has ended it, or has never made it
	}
	return s, err
}

// seat gives the session its place among those of its key and opens it inside.
func (b *Broker) seat(ctx context.Context, v *visit, s *session, c connect, ended uint64) error {
	older, err := b.door.admit(v, s.grant.KeyID, c.client)
	if err != nil {
		return err
	}
	// EndKey finds the visit from here on. If it came between Verify and now, it did not.
	if b.ended.Load() != ended {
		if _, err := b.login(c); err != nil {
			return err
		}
	}
	if older != nil {
		older.end(ErrTakenOver)
	}
	return b.bind(ctx, v, s, c)
}

// login checks user name and key. Every failure that could be a guess does the same work and has the same answer.
func (b *Broker) login(c connect) (access.Grant, error) {
	g, err := b.keys.Verify(c.key)
	switch {
	case errors.Is(err, access.ErrKeyRevoked), errors.Is(err, access.ErrKeyExpired):
		return access.Grant{}, ErrKeyNotValid
	case err != nil, c.user != g.KeyID:
		return access.Grant{}, ErrLogin
	case g.Ended(time.Now()):
		return access.Grant{}, ErrKeyNotValid
	}
	return g, nil
}

// bind opens the session inside and hands nats's CONNACK to the device.
func (b *Broker) bind(ctx context.Context, v *visit, s *session, c connect) error {
	// Whoever was taken over while they waited must not come in any more: inside, they would throw out whoever did.
	upstream, answer, err := b.engine.open(ctx, s.grant, c, c.innerID(s.grant), func() bool { return v.why(nil) == nil })
	if ended := v.why(nil); err != nil && ended != nil {
		return ended
	}
	if err != nil {
		b.health.doubt()
		b.log.WarnContext(ctx, "the broker inside took no session", "grant", s.grant, "error", err)
		return ErrUnavailable
	}
	s.upstream = upstream
	s.device.SetDeadline(time.Time{})
	s.device.SetWriteDeadline(time.Now().Add(b.limits.Stalled))
	if _, err := s.device.Write(answer[:]); err != nil {
		s.end(v.why(ErrDeviceGone))
		return s.serveNothing()
	}
	return nil
}

// refuse answers as the reason demands and says once why.
func (b *Broker) refuse(ctx context.Context, v *visit, reason error) error {
	b.counts.refused.Add(1)
	level := slog.LevelInfo
	if v.holder.KeyID == "" { // a stranger's: anyone could fill the log with them
		level = slog.LevelDebug
		b.strangers.refused(reason)
	}
	b.log.LogAttrs(ctx, level, "connection refused",
		slog.Any("grant", v.holder), slog.Any("remote", v.address), slog.String("reason", reason.Error()))
	var r *Refusal
	if !errors.As(reason, &r) || len(r.answer) == 0 {
		return reason
	}
	v.device.SetDeadline(time.Now().Add(time.Second))
	if _, err := v.device.Write(r.answer); err == nil {
		linger(v.device.Conn)
	}
	return reason
}

// linger reads what the device still sends, within the deadline set, because closing a TCP connection with unread bytes
// throws away what was written to it last.
func linger(device net.Conn) {
	half, ok := device.(interface{ CloseWrite() error })
	if ok && half.CloseWrite() == nil {
		io.CopyN(io.Discard, device, 64<<10)
	}
}

func (b *Broker) told(ctx context.Context, s *session, from netip.Addr, reason error, lasted time.Duration) {
	var r *Refusal
	level := slog.LevelDebug
	if errors.As(reason, &r) {
		b.counts.refused.Add(1)
		level = slog.LevelWarn
	}
	if errors.Is(reason, ErrTakenOver) {
		level = slog.LevelInfo // two programs with one client id go on like this for ever, and somebody will wonder
	}
	said := "left"
	if reason != nil {
		said = reason.Error()
	}
	b.log.LogAttrs(ctx, level, "device session ended", slog.Any("grant", s.grant), slog.String("client", s.client),
		slog.Any("remote", from), slog.String("reason", said), slog.Duration("lasted", lasted))
}

// fault counts a panic of one connection and lets the others live.
func (b *Broker) fault(caught any) error {
	b.counts.panics.Add(1)
	b.log.Error("a connection hit a fault", "fault", caught, "stack", string(debug.Stack()))
	return ErrFault
}
