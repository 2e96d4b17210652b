package server

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/rhythm"
	"trellis/templates"
)

// deviceAnswer is a device as it was heard.
type deviceAnswer struct {
	Entity string    `json:"entity"`
	Heard  time.Time `json:"heard"`
	Quiet  bool      `json:"quiet"`
	Rhythm string    `json:"rhythm"`
	Usual  *float64  `json:"usual"`       // seconds; null where that is not known
	Old    *float64  `json:"old_after"`   // seconds of silence from which it counts as getting old; null: it never does
	Silent *float64  `json:"quiet_after"` // and as quiet
	Normal bool      `json:"normal"`      // its silence is, as somebody said
	Facts  []string  `json:"facts"`       // what is known of why it may be quiet
}

// historyDevices gives when each device was heard, how often it usually speaks, and whether it is silent for longer than that.
func (s *Server) historyDevices(who granter) echo.HandlerFunc {
	return func(c echo.Context) error {
		g, err := who(c)
		if err != nil {
			return err
		}
		var found []heardDevice
		var facts map[string][]string
		ctx := c.Request().Context()
		if err := s.learn(ctx, g, learnWithin); err != nil {
			return err
		}
		err = s.turns.take(ctx, g, func() (err error) {
			if found, err = s.devicesHeard(ctx, g); err == nil {
				facts, err = s.factsOf(ctx, g, found)
			}
			return err
		})
		if err != nil {
			return err
		}
		now, deaf := s.Now(), s.linkDown(g)
		answer := make([]deviceAnswer, len(found))
		for i, d := range found {
			answer[i] = deviceAnswer{
				Entity: d.entity, Heard: d.at.UTC(), Quiet: !deaf && d.isQuiet(now), Rhythm: string(cmp.Or(d.rhythm.Kind, rhythm.Unknown)), Normal: d.taught,
				Usual: seconds(d.rhythm.Usual), Old: seconds(after(d.at, d.old)), Silent: seconds(after(d.at, d.quiet)), Facts: facts[d.entity],
			}
			if answer[i].Facts == nil {
				answer[i].Facts = []string{}
			}
		}
		return c.JSON(http.StatusOK, map[string]any{"devices": answer})
	}
}

// after is how long after its last word something becomes so; 0: never.
func after(heard, at time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return at.Sub(heard)
}

// seconds is nil for what is never, or not known.
func seconds(d time.Duration) *float64 {
	if d <= 0 {
		return nil
	}
	s := math.Round(d.Seconds())
	return &s
}

// knownDevices is what a board knows of the devices of a Grant.
func (s *Server) knownDevices(ctx context.Context, g access.Grant) (map[string]templates.Device, error) {
	if err := s.learn(ctx, g, learnWithin); err != nil {
		return nil, err
	}
	found, err := s.devicesHeard(ctx, g)
	if err != nil {
		return nil, err
	}
	facts, err := s.factsOf(ctx, g, found)
	if err != nil {
		return nil, err
	}
	known := make(map[string]templates.Device, len(found))
	for _, d := range found {
		known[d.entity] = templates.Device{
			Heard: d.at, Rhythm: string(d.rhythm.Kind), Usual: d.rhythm.Usual, Old: after(d.at, d.old), Quiet: after(d.at, d.quiet), Taught: d.taught,
			Facts: facts[d.entity],
		}
	}
	return known, nil
}

// linkOf is how our own link with the devices of a Grant is.
func (s *Server) linkOf(g access.Grant) templates.Link {
	link := templates.Link{To: s.linkTo()}
	if now := s.linkState(g); now.Down { // asked once: asked again it may be up, and down since never
		link.Down, link.Since = true, now.Since
	}
	return link
}

// normal takes what the owner of a board says of a device: that its silence is normal, or that it is not. It ends on the board.
func (s *Server) normal(c echo.Context) error {
	g, err := s.byCookie(c)
	if err != nil {
		return err
	}
	entity, said := c.FormValue("entity"), c.FormValue("normal")
	if said != "yes" && said != "no" {
		return errQuery("Say whether its silence is normal: normal is yes or no.")
	}
	found, err := s.devicesHeard(c.Request().Context(), g)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(found, func(d heardDevice) bool { return d.entity == entity }) {
		return errNoDevice // nobody notes names that are made up
	}
	if err := s.Store.SetNormal(c.Request().Context(), g.Subject.String(), entity, said == "yes"); err != nil {
		return err
	}
	if wantsJSON(c) {
		return c.NoContent(http.StatusNoContent)
	}
	return c.Redirect(http.StatusSeeOther, "/")
}

// errNoDevice says that a device was named that is not on the board.
var errNoDevice = errors.New("there is no such device on this board")
