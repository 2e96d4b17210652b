-- +goose Up
-- When a key was first seen to be past its end: a clock that is set back does not revive it.
ALTER TABLE keys ADD COLUMN ended INTEGER; -- NULL: not seen so
