package access

import "time"

// momentHolder is who somebody is that came by a link: nobody we know.
const momentHolder = "a visitor"

// MomentGrant is the Grant of whoever opened a link to a moment: it hears nothing, sends nothing, and may be shown the one with this id.
func MomentGrant(id string, until time.Time) Grant {
	return Grant{Holder: momentHolder, Moment: id, Until: until}
}

// MayShow says whether the moment with this id may be shown to the holder.
func (g Grant) MayShow(moment string) bool { return g.Moment != "" && g.Moment == moment }
