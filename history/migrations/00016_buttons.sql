-- +goose Up
-- Buttons that the owner of a board has made.
CREATE TABLE buttons (
	id      TEXT PRIMARY KEY,
	board   TEXT NOT NULL,
	place   INTEGER NOT NULL, -- order on the board
	version INTEGER NOT NULL, -- grows with every change: what is pressed is what was seen
	button  TEXT NOT NULL     -- JSON: what it says, to whom, how, and its limits
) STRICT, WITHOUT ROWID;
CREATE INDEX buttons_board ON buttons (board, place);

-- What people pressed. Times are microseconds since 1970.
CREATE TABLE presses (
	seq     INTEGER PRIMARY KEY,
	board   TEXT NOT NULL,
	id      TEXT NOT NULL,    -- made by the page, once for each press
	button  TEXT NOT NULL,
	who     TEXT NOT NULL,
	label   TEXT NOT NULL,
	chosen  TEXT NOT NULL,    -- the number with its unit, as it was shown; may be empty
	entity  TEXT NOT NULL,
	answers TEXT NOT NULL,    -- JSON: what counts as the answer, and where it may be heard
	state   INTEGER NOT NULL, -- 0 waiting, 1 trying, 2 handed, 3 accepted, 4 answered, 5 not sent, 6 unsure, 7 undone, 8 refused
	pressed INTEGER NOT NULL,
	due     INTEGER NOT NULL, -- until then it can be undone
	settled INTEGER,          -- when it was accepted, or given up
	patient INTEGER,          -- when an answer should have come
	heard   INTEGER,          -- when the answer came
	words   TEXT NOT NULL DEFAULT '', -- of the answer, or why it was refused
	UNIQUE (board, id)
) STRICT;
CREATE INDEX presses_board ON presses (board, seq);
CREATE INDEX presses_button ON presses (button, pressed);
CREATE INDEX presses_open ON presses (state) WHERE state < 4;
