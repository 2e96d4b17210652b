package access

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"
)

func TestServiceRemembersHowItWentWithAsking(t *testing.T) {
	status := http.StatusOK
	s, _ := asked(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(shedClaims))
	})
	if got := s.Asked(); got.Last != AnswerNone || !got.At.IsZero() || len(got.Counts) != len(Answers) {
		t.Errorf("before anybody asked: %+v", got)
	}
	for _, tt := range []struct {
		status int
		want   Answer
	}{
		{200, AnswerOK}, {401, AnswerRefused}, {403, AnswerRefused}, {429, AnswerLimited}, {500, AnswerAway}, {404, AnswerUnclear}, {200, AnswerOK},
	} {
		status = tt.status
		before := s.Asked()
		_, _ = s.Again(t.Context(), "secret")
		got := s.Asked()
		if got.Last != tt.want || got.Counts[tt.want] != before.Counts[tt.want]+1 || time.Since(got.At) > time.Minute {
			t.Errorf("after a %d: %+v, want %q once more", tt.status, got, tt.want)
		}
	}
	before := s.Asked()
	if _, err := s.Claims(t.Context(), "secret"); err != nil || s.Asked().Counts[AnswerOK] != before.Counts[AnswerOK] {
		t.Errorf("what is known was counted as asked: %v", err)
	}
}

func TestWhatTheAskerGaveUpSaysNothingOfTheService(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, _ := asked(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := s.Again(ctx, "secret"); err == nil {
		t.Error("there was an answer")
	}
	if got := s.Asked(); got.Last != AnswerNone {
		t.Errorf("it is said to be %q", got.Last)
	}
}

func TestAServiceWithAnotherCertificateIsNotSimplyAway(t *testing.T) {
	s := serviceAt(t, newAuthority(t).serve(t, time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1)), ServiceConfig{})
	if _, err := s.Again(t.Context(), "secret"); err == nil || s.Asked().Last != AnswerCertificate {
		t.Errorf("%v is remembered as %q", err, s.Asked().Last)
	}
}
