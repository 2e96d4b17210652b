package hostile

// misplaced does to an upload what happens on its way: doubled, or kept back until the next one has gone first. True means
// that nobody will answer it.
func (p *Proxy) misplaced(q request) bool {
	if q.bad.Late > 0 && q.upload%int64(q.bad.Late) == 0 {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.late = append(p.late, q.send)
		return true
	}
	if q.bad.Double {
		q.send()
	}
	return false
}

// lost does what happens on an answer's way back; true means that it is lost.
func (p *Proxy) lost(q request) bool {
	p.mu.Lock()
	late := p.late
	p.late = nil
	p.mu.Unlock()
	for _, send := range late {
		send()
	}
	return q.bad.Drop > 0 && q.upload%int64(q.bad.Drop) == 0
}
