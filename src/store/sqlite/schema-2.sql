-- Version 2: who decides on a held message, and kinds of notices beyond the first eight.

-- The approvers that a held message was assigned to, in comparison form.
CREATE TABLE held_approvers (
    approver TEXT    NOT NULL,
    message  INTEGER NOT NULL REFERENCES held (message) ON DELETE CASCADE,
    PRIMARY KEY (approver, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_approvers_message ON held_approvers (message);

ALTER TABLE notices RENAME TO old_notices;
DROP INDEX notices_open;
DROP INDEX notices_due;
DROP INDEX notices_message;
CREATE TABLE notices (
    row     INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
    kind    INTEGER NOT NULL CHECK (kind >= 0),
    due     INTEGER,              -- NULL: when every delivery of the message is final
    state   INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2)
) STRICT;
INSERT INTO notices (row, message, kind, due, state) SELECT row, message, kind, due, state FROM old_notices;
DROP TABLE old_notices;
CREATE UNIQUE INDEX notices_open ON notices (message, kind) WHERE state = 0;
CREATE INDEX notices_due ON notices (due) WHERE state = 0;
CREATE INDEX notices_message ON notices (message);
