-- Times are microseconds since 1970, UTC.

-- +goose Up
CREATE TABLE keys (
	id      TEXT PRIMARY KEY,
	subject TEXT NOT NULL,
	hash    BLOB NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER, -- NULL: never
	revoked INTEGER  -- NULL: not
) STRICT, WITHOUT ROWID;

-- Counts what happens to keys, so that a process need not read them all whenever a message was recorded.
CREATE TABLE revision (
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	keys INTEGER NOT NULL
) STRICT;
INSERT INTO revision VALUES (1, 0);

-- +goose StatementBegin
CREATE TRIGGER key_added AFTER INSERT ON keys BEGIN
	UPDATE revision SET keys = keys + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER key_changed AFTER UPDATE ON keys BEGIN
	UPDATE revision SET keys = keys + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER key_removed AFTER DELETE ON keys BEGIN
	UPDATE revision SET keys = keys + 1;
END;
-- +goose StatementEnd

CREATE TABLE messages (
	id       INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they were recorded; never used twice
	uid      TEXT UNIQUE,                       -- names the message; NULL: may come twice
	received INTEGER NOT NULL,
	topic    TEXT NOT NULL,
	source   TEXT NOT NULL,
	about    TEXT NOT NULL,
	payload  BLOB NOT NULL
) STRICT;
CREATE INDEX messages_topic ON messages (topic);

-- The newest message that holds a reading.
CREATE TABLE latest (
	topic   TEXT NOT NULL,
	about   TEXT NOT NULL,
	reading TEXT NOT NULL,
	message INTEGER NOT NULL REFERENCES messages (id),
	PRIMARY KEY (topic, about, reading)
) STRICT, WITHOUT ROWID;
CREATE INDEX latest_message ON latest (message);

CREATE TABLE sessions (
	token   BLOB PRIMARY KEY, -- SHA-256 of it
	data    BLOB NOT NULL,
	expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE codes (
	hash    BLOB PRIMARY KEY,
	expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
