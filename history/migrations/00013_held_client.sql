-- +goose Up
ALTER TABLE held ADD COLUMN client TEXT NOT NULL DEFAULT ''; -- client id of a page's session that the key's link goes on with; '': none
