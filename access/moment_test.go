package access

import (
	"testing"
	"time"
)

func TestALinkToAMomentOpensNothingElse(t *testing.T) {
	g := MomentGrant("m1", time.Time{})
	for _, topic := range []string{"", "#", "+", "a/b/c/publish", "$SYS/x", "m1"} {
		if g.MayReceive(topic) || g.MaySubscribe(topic) || g.MayPublish(topic) {
			t.Errorf("it opens %q", topic)
		}
	}
	if !g.MayShow("m1") || g.MayShow("m2") || g.MayShow("") {
		t.Error("it shows another moment than its own")
	}
	for _, other := range []Grant{{}, KeyGrant(Subject{"a", "b", "c"}, "k", time.Time{}), OperatorGrant("a", "b", time.Time{})} {
		if other.MayShow("m1") || other.MayShow("") {
			t.Errorf("%v is shown a moment without its link", other)
		}
	}
}
