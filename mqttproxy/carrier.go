package mqttproxy

import "time"

// Carrier moves one page's bytes. Where the chunks begin and end means nothing: packets may be split or merged anywhere.
//
// Receive and Send are each called by one goroutine at a time, and may be called at the same time as each other and as End.
type Carrier interface {
	// Receive waits for bytes and puts at most len(p) of them into p; it returns 0 only with an error.
	Receive(p []byte) (int, error)
	// Send writes the whole of p or fails; os.ErrDeadlineExceeded says that it could not be done by that time.
	// It does not keep p.
	Send(p []byte, by time.Time) error
	// End tells the page why if that is still possible, ends the carrier, and makes Receive and Send return.
	// It takes a second at most. Further calls do nothing.
	End(Reason)
}
