-- +goose Up
CREATE INDEX series_about ON series (about, reading);
