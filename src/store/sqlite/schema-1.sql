-- Version 1. Databases out there are made by this text: it never changes; what comes later is a step
-- of its own.

CREATE TABLE messages (
    row        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE CHECK (length(id) = 16),
    received   INTEGER NOT NULL,
    people     TEXT    NOT NULL,  -- MAIL FROM, then every RCPT TO, as written, a line each
    keys       TEXT,              -- the same in comparison form, where that differs
    message_id TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    exposures  INTEGER NOT NULL,
    prevented  INTEGER NOT NULL CHECK (prevented IN (0, 1)),
    events     TEXT    NOT NULL   -- the journal entries it came with, JSON
) STRICT;

CREATE TABLE contents (
    message INTEGER PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    file    TEXT,                 -- where a large body is; then `body` is NULL
    size    INTEGER NOT NULL CHECK (size >= 0),
    meta    TEXT    NOT NULL,     -- origin, envelope, verdict, JSON
    needles TEXT    NOT NULL,     -- JSON
    header  BLOB    NOT NULL,
    body    BLOB,
    CHECK ((file IS NULL) = (body IS NOT NULL))
) STRICT;
CREATE INDEX contents_file ON contents (file) WHERE file IS NOT NULL;

CREATE TABLE deliveries (
    row        INTEGER PRIMARY KEY,
    state      INTEGER NOT NULL CHECK (state BETWEEN 0 AND 7),
    due        INTEGER,           -- the end of the lease while it is being sent
    token      INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    duplicate  INTEGER NOT NULL CHECK (duplicate IN (0, 1)),
    queued     INTEGER NOT NULL,
    ended      INTEGER,           -- when it was delivered: its journal entry is made from this row
    recipients INTEGER NOT NULL CHECK (recipients > 0),
    reply      TEXT    NOT NULL,
    copy       BLOB    NOT NULL
) STRICT;
CREATE INDEX deliveries_open ON deliveries (due) WHERE state < 5;

CREATE TABLE journal (
    row   INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    event TEXT    NOT NULL
) STRICT;

CREATE TABLE held (
    message    INTEGER PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    state      INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    kind       INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
    expires    INTEGER NOT NULL,
    reasons    TEXT    NOT NULL,
    hits       TEXT    NOT NULL,
    decided_by TEXT,
    decided_at INTEGER,
    decision   TEXT,
    CHECK ((state = 0) = (decided_by IS NULL)),
    CHECK ((state = 0) = (decided_at IS NULL))
) STRICT;
CREATE INDEX held_open ON held (expires) WHERE state = 0;

CREATE TABLE notices (
    row     INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
    kind    INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 7),
    due     INTEGER,              -- NULL: when every delivery of the message is final
    state   INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2)
) STRICT;
CREATE UNIQUE INDEX notices_open ON notices (message, kind) WHERE state = 0;
CREATE INDEX notices_due ON notices (due) WHERE state = 0;
CREATE INDEX notices_message ON notices (message);

CREATE TABLE ledger (
    week       INTEGER NOT NULL,  -- first, so that new entries lie together whatever their ids are
    message_id TEXT    NOT NULL,
    message    INTEGER NOT NULL,
    disclosed  TEXT    NOT NULL,
    PRIMARY KEY (week, message_id, message)
) STRICT, WITHOUT ROWID;

CREATE TABLE probe (
    row  INTEGER PRIMARY KEY CHECK (row = 1),
    beat INTEGER NOT NULL
) STRICT;
INSERT INTO probe (row, beat) VALUES (1, 0);
