-- +goose Up
-- Moments that somebody sent: each a link to one reading over a time, with a copy of its own of what it shows, so that it holds when the
-- record of that time has gone.
CREATE TABLE moments (
	id        TEXT PRIMARY KEY,     -- in addresses; no secret
	hash      BLOB NOT NULL UNIQUE, -- of the link's code
	board     TEXT NOT NULL,        -- who sent it: account:region:entity, the last part empty for the operator
	about     TEXT NOT NULL,
	reading   TEXT NOT NULL,
	title     TEXT NOT NULL,
	began     INTEGER NOT NULL,     -- the time that it shows
	ended     INTEGER NOT NULL,
	data      BLOB NOT NULL,        -- what it shows; empty when it is over
	made      INTEGER NOT NULL,
	until     INTEGER,              -- NULL: no end
	withdrawn INTEGER,              -- NULL: not
	opened    INTEGER NOT NULL,     -- how often
	last      INTEGER               -- NULL: never
) STRICT;
CREATE INDEX moments_of ON moments (about, reading);
CREATE INDEX moments_board ON moments (board);

-- Browsers that have opened one.
CREATE TABLE visits (
	token   BLOB PRIMARY KEY, -- SHA-256 of the cookie's
	moment  TEXT NOT NULL REFERENCES moments (id),
	at      INTEGER NOT NULL,
	expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX visits_moment ON visits (moment, at);
