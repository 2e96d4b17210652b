-- +goose Up
-- Up to which message a topic's record may have holes: what was no reading's newest was removed. Behind it all is kept.
CREATE TABLE swept (
	topic   TEXT PRIMARY KEY,
	message INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- What earlier versions removed they did not note: nothing is taken for whole before the oldest message that need not be kept.
INSERT INTO swept (topic, message) SELECT topic, coalesce(
		(SELECT id FROM messages AS m WHERE m.topic = t.topic AND NOT EXISTS (SELECT 1 FROM latest WHERE message = m.id) ORDER BY id LIMIT 1) - 1,
		(SELECT max(id) FROM messages AS m WHERE m.topic = t.topic))
	FROM (SELECT DISTINCT topic FROM latest) AS t WHERE EXISTS (SELECT 1 FROM messages AS m WHERE m.topic = t.topic);
