-- +goose Up
-- Whose key signed in, so that a key pushes out no sign-in but its own; empty: the operator, or somebody before this.
ALTER TABLE sessions ADD COLUMN holder TEXT NOT NULL DEFAULT '';
