-- +goose Up
-- Keys of another service that people have signed in with. The keys themselves are sealed with a key that lies in a file.
CREATE TABLE held (
	id      TEXT PRIMARY KEY,
	subject TEXT NOT NULL,
	print   TEXT NOT NULL,
	sealed  BLOB NOT NULL,
	until   INTEGER,          -- NULL: no end was said
	used    INTEGER NOT NULL,
	agreed  INTEGER NOT NULL, -- 1: its holder agreed that we log in as the entity itself
	linked  INTEGER NOT NULL  -- 1: somebody needed its session
) STRICT, WITHOUT ROWID;
