-- +goose Up
-- When a device last gave a sign of life, whatever it said: a heartbeat may hold no reading.
CREATE TABLE signs (
	topic TEXT NOT NULL,
	about TEXT NOT NULL,
	at    INTEGER NOT NULL, -- when it was received, in microseconds since 1970
	PRIMARY KEY (topic, about)
) STRICT, WITHOUT ROWID;
INSERT INTO signs (topic, about, at) SELECT topic, about, max(at) FROM latest WHERE about <> '' AND by_hand = 0 AND at IS NOT NULL GROUP BY topic, about;

-- Devices of which the owner of a board said that their silence is normal, or that it is not.
CREATE TABLE normal (
	board  TEXT NOT NULL, -- whose: account:region of an operator, account:region:entity of a key
	entity TEXT NOT NULL,
	normal INTEGER NOT NULL,
	PRIMARY KEY (board, entity)
) STRICT, WITHOUT ROWID;
