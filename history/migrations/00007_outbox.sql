-- +goose Up
-- Messages that programs have left here to be sent, and for a day what became of them.
CREATE TABLE outbox (
	seq     INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they came
	id      TEXT NOT NULL UNIQUE,              -- what the program is told
	key     TEXT NOT NULL,                     -- id of the key that sent it
	topic   TEXT NOT NULL,
	once    BLOB,                              -- SHA-256 of the program's own name for it; NULL: it gave none
	digest  BLOB NOT NULL,                     -- SHA-256 of what was asked for
	payload BLOB NOT NULL,                     -- empty when it is done
	size    INTEGER NOT NULL,
	made    INTEGER NOT NULL,
	until   INTEGER NOT NULL,
	state   INTEGER NOT NULL,                  -- 0 waiting, 1 sent, 2 expired, 3 refused
	done    INTEGER                            -- NULL: it waits
) STRICT;
CREATE UNIQUE INDEX outbox_once ON outbox (key, once) WHERE once IS NOT NULL;
CREATE INDEX outbox_waiting ON outbox (key, seq, size, until) WHERE state = 0;
CREATE INDEX outbox_done ON outbox (key, seq) WHERE state <> 0;
CREATE INDEX outbox_age ON outbox (done) WHERE state <> 0;

-- How far each key has asked for its messages.
CREATE TABLE asked (
	key     TEXT PRIMARY KEY,
	message INTEGER NOT NULL -- the last that it was given
) STRICT, WITHOUT ROWID;
