-- +goose Up
-- How many messages of a topic were not recorded in a minute, because the record could not keep up. Times are microseconds since 1970.
CREATE TABLE unrecorded (
	minute INTEGER NOT NULL, -- its start
	topic  TEXT NOT NULL,    -- empty: of topics too many to name
	first  INTEGER NOT NULL,
	last   INTEGER NOT NULL,
	n      INTEGER NOT NULL,
	PRIMARY KEY (minute, topic)
) STRICT, WITHOUT ROWID;
