-- +goose Up
-- When nothing could be recorded, and why. Times are microseconds since 1970.
CREATE TABLE gaps (
	id     INTEGER PRIMARY KEY,
	whose  TEXT NOT NULL, -- id of the key whose messages are missing; empty: everybody's
	reason TEXT NOT NULL,
	began  INTEGER NOT NULL,
	ended  INTEGER        -- NULL: it lasts
) STRICT;
CREATE INDEX gaps_whose ON gaps (whose, began);

-- When this was last known to record; what is between that and the next start is a gap.
CREATE TABLE alive (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	at  INTEGER NOT NULL
) STRICT;
