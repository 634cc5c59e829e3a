-- Version 15: approvers who say that they are away, and who decides in their place.

-- What is over stays: it shows who could decide for whom, and when.
CREATE TABLE absences (
    row      INTEGER PRIMARY KEY AUTOINCREMENT,
    approver TEXT    NOT NULL,    -- as written
    key      TEXT    NOT NULL,    -- in comparison form
    deputy   TEXT    NOT NULL,    -- as written
    until    TEXT    NOT NULL,    -- the last day, YYYY-MM-DD
    made_by  TEXT    NOT NULL,
    made_at  INTEGER NOT NULL,
    ended_by TEXT,
    ended_at INTEGER
) STRICT;
CREATE INDEX absences_open ON absences (key) WHERE ended_at IS NULL;

-- Mail whose sender asks that it leave as it is can be found by that.
INSERT OR IGNORE INTO held_terms (term, state, message)
SELECT 'q:as-is', h.state, h.message FROM held h
WHERE EXISTS (SELECT 1 FROM notices n WHERE n.message = h.message AND n.kind = 10);
