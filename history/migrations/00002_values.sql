-- +goose Up
-- What the page prints of a reading stands beside it, so that nobody's payload is read to draw somebody's page.
ALTER TABLE latest ADD COLUMN size INTEGER NOT NULL DEFAULT 0; -- bytes of the message's payload
ALTER TABLE latest ADD COLUMN value ANY;                       -- number, text, or a truth value as 0 or 1; NULL: not known
ALTER TABLE latest ADD COLUMN truth INTEGER NOT NULL DEFAULT 0; -- 1: value is a truth value
ALTER TABLE latest ADD COLUMN at INTEGER NOT NULL DEFAULT 0;   -- of when the value is
ALTER TABLE latest ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 0;
