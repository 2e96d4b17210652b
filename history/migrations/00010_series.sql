-- +goose Up
-- A reading of an entity, as far as it is drawn over time.
CREATE TABLE series (
	id      INTEGER PRIMARY KEY,
	topic   TEXT NOT NULL,
	about   TEXT NOT NULL,
	reading TEXT NOT NULL,
	UNIQUE (topic, about, reading)
) STRICT;

-- Numbers, summed up by minute and by hour: what is asked for a chart. Times are the start of either.
CREATE TABLE minutes (
	series INTEGER NOT NULL REFERENCES series (id),
	at     INTEGER NOT NULL,
	n      INTEGER NOT NULL,
	low    REAL NOT NULL,
	high   REAL NOT NULL,
	total  REAL NOT NULL,
	PRIMARY KEY (series, at)
) STRICT, WITHOUT ROWID;
CREATE TABLE hours (
	series INTEGER NOT NULL REFERENCES series (id),
	at     INTEGER NOT NULL,
	n      INTEGER NOT NULL,
	low    REAL NOT NULL,
	high   REAL NOT NULL,
	total  REAL NOT NULL,
	PRIMARY KEY (series, at)
) STRICT, WITHOUT ROWID;

-- Words and truth values, whenever they became another.
CREATE TABLE changes (
	series INTEGER NOT NULL REFERENCES series (id),
	at     INTEGER NOT NULL,
	value  ANY NOT NULL,
	truth  INTEGER NOT NULL, -- 1: value is a truth value
	PRIMARY KEY (series, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX messages_received ON messages (received);
