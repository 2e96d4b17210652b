package history

import "database/sql"

// prepared keeps the statements of one transaction: what is said a thousand times is parsed once. They are run without a context, since the
// driver starts a goroutine for each to watch for its end; the transaction watches already.
type prepared struct {
	tx  *sql.Tx
	all map[string]*sql.Stmt
}

func preparedIn(tx *sql.Tx) *prepared { return &prepared{tx, map[string]*sql.Stmt{}} }

func (p *prepared) statement(query string) (*sql.Stmt, error) {
	if ready, is := p.all[query]; is {
		return ready, nil
	}
	ready, err := p.tx.Prepare(query)
	if err == nil {
		p.all[query] = ready
	}
	return ready, err
}

func (p *prepared) exec(query string, args ...any) (sql.Result, error) {
	ready, err := p.statement(query)
	if err != nil {
		return nil, err
	}
	return ready.Exec(args...)
}

// row reads the one row of a query; sql.ErrNoRows where there is none.
func (p *prepared) row(query string, args []any, into ...any) error {
	ready, err := p.statement(query)
	if err != nil {
		return err
	}
	return ready.QueryRow(args...).Scan(into...)
}

func (p *prepared) close() {
	for _, ready := range p.all {
		_ = ready.Close() // with the transaction it ends anyway
	}
}
