package broker

// answers counts the answers to what a device published, in what nats sends it. It keeps no byte: of a packet in the middle it knows
// only how much is still to come.
type answers struct {
	place int  // in a packet: 0 before its first byte, 1 in its length, 2 in its body
	kind  byte // of the packet
	shift uint
	left  int // bytes of the body that are still to come
}

// in gives how many begin in these bytes.
func (a *answers) in(b []byte) (n int) {
	for len(b) > 0 {
		switch a.place {
		case 0:
			a.kind, a.place, a.shift, a.left = b[0]>>4, 1, 0, 0
			b = b[1:]
			switch a.kind {
			case typePuback, typePubrec, typePubcomp:
				n++
			}
		case 1:
			a.left |= int(b[0]&0x7f) << a.shift
			a.shift += 7
			if b[0] < 0x80 {
				a.place = 2
			}
			b = b[1:]
		default:
			skip := min(a.left, len(b))
			a.left -= skip
			b = b[skip:]
		}
		if a.place == 2 && a.left == 0 {
			a.place = 0
		}
	}
	return n
}
