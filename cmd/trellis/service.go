package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"trellis/broker"
	"trellis/mqttproxy"
	"trellis/server"
)

// service is everything that runs, in the order of its start.
type service struct {
	state  *state
	broker *broker.Broker // one of these two
	front  front
	outbox *mqttproxy.Outbox
	hub    *mqttproxy.Hub
	web    *server.Server
	demo   *pretend

	keeping *keeping
	healthy func() error

	log   *slog.Logger
	token string // who wants the numbers has to send it; empty: nothing has to be sent
}

// front is what there is in place of the broker inside, in front of somebody else's.
type front interface {
	Watch(ctx context.Context) error
	Close(ctx context.Context) error
	losses() (dropped, panics uint64)
}

// serve answers until ctx ends or a part fails.
func (s *service) serve(ctx context.Context, l listeners, ready func() error) error {
	running, ended := errgroup.WithContext(ctx)
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	running.Go(func() error { return s.web.Serve(l.http) })
	running.Go(func() error { return s.state.keys.Watch(background) })
	running.Go(func() error { return s.state.store.Sweep(background) })
	running.Go(func() error { return s.keeping.watch(background, s.healthy) })
	running.Go(func() error { tellLosses(background, s.log, s.losses); return nil })
	if l.mqtt != nil {
		running.Go(func() error { return s.broker.ServeListener(background, l.mqtt) })
	}
	if s.demo != nil {
		running.Go(func() error { return s.demo.run(ended, l.mqtt.Addr()) })
	}
	running.Go(func() error {
		<-ended.Done()
		err := s.stop(context.WithoutCancel(ctx), l)
		stopBackground()
		return err
	})
	if l.metrics != nil {
		running.Go(func() error { return s.serveMetrics(l.metrics, s.token) })
	}
	running.Go(func() error { return s.watch(ended, background) })
	running.Go(func() error { return s.outbox.Start(background) })
	s.web.Ready()
	running.Go(ready)
	err := running.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// watch looks after whatever stands behind the hub.
func (s *service) watch(ended, background context.Context) error {
	if s.front != nil {
		return s.front.Watch(background)
	}
	select {
	case err := <-s.broker.Broken():
		return fmt.Errorf("the broker inside cannot go on, start again: %w", err)
	case <-ended.Done():
		return nil
	}
}

// stop lets nobody new in and ends pages, devices and broker. What is not over in time is cut.
func (s *service) stop(ctx context.Context, l listeners) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	s.log.Info("stopping")
	l.close()
	// All at once, so that one that is slow to end takes no time from the others.
	var parts errgroup.Group
	behind := func(ctx context.Context) error {
		err := s.outbox.Close(ctx) // first: what is on its way gets its acknowledgement, else it would be sent again
		if s.broker != nil {
			return errors.Join(err, s.broker.Close(ctx))
		}
		return errors.Join(err, s.front.Close(ctx))
	}
	for _, end := range []func(context.Context) error{s.hub.Close, behind, s.web.Close} {
		parts.Go(func() error { return end(ctx) })
	}
	err := parts.Wait()
	s.log.Info("stopped", "lasted", time.Since(began).Round(time.Millisecond), "err", err)
	return nil // whatever did not end in time was cut; what was acknowledged is safe
}
