-- +goose Up
ALTER TABLE held ADD COLUMN watched INTEGER NOT NULL DEFAULT 0; -- 1: its session is held whether or not anybody is here
ALTER TABLE held ADD COLUMN echo INTEGER NOT NULL DEFAULT 0;    -- 1: the broker brings back what the key sends; 2: it does not; 0: not known

-- Counts what another process may do to held keys, as keys does for our own. What the server notes beside that, such as who signed in,
-- is its own affair.
ALTER TABLE revision ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
-- +goose StatementBegin
CREATE TRIGGER held_added AFTER INSERT ON held BEGIN
	UPDATE revision SET held = held + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER held_changed AFTER UPDATE ON held WHEN old.watched <> new.watched OR old.print <> new.print OR old.subject <> new.subject BEGIN
	UPDATE revision SET held = held + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER held_removed AFTER DELETE ON held BEGIN
	UPDATE revision SET held = held + 1;
END;
-- +goose StatementEnd
