-- +goose Up
-- What the owner of a board wants otherwise than it comes: one row for each thing that was said about a device or one of its values.
CREATE TABLE settings (
	board   TEXT NOT NULL, -- account:region: of the operator, account:region:entity of a key
	entity  TEXT NOT NULL,
	reading TEXT NOT NULL, -- '': the device itself
	field   TEXT NOT NULL,
	value   TEXT NOT NULL, -- '': as it comes, whatever a board above says
	PRIMARY KEY (board, entity, reading, field)
) STRICT, WITHOUT ROWID;
