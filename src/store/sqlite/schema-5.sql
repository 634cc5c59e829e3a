-- Version 5: who is told of what waits for a decision, and hooks.

CREATE TABLE asks (
    row      INTEGER PRIMARY KEY AUTOINCREMENT,
    message  INTEGER NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
    approver TEXT    NOT NULL,    -- as written
    why      INTEGER NOT NULL CHECK (why >= 0),
    digest   INTEGER NOT NULL CHECK (digest IN (0, 1)),
    due      INTEGER NOT NULL,
    state    INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2)
) STRICT;
CREATE INDEX asks_due ON asks (due) WHERE state = 0;
CREATE INDEX asks_message ON asks (message);
CREATE INDEX asks_approver ON asks (approver) WHERE state = 0 AND digest = 1;

-- Where hooks are called, and of what they are told: 1 held, 2 decided, 3 both.
CREATE TABLE hooks (
    url    TEXT    PRIMARY KEY,
    events INTEGER NOT NULL CHECK (events BETWEEN 1 AND 3)
) STRICT, WITHOUT ROWID;

-- Calls still to be made. They are put down by the change itself, so that none is forgotten.
CREATE TABLE hook_calls (
    row      INTEGER PRIMARY KEY AUTOINCREMENT,
    message  INTEGER NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
    url      TEXT    NOT NULL,
    state    INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),  -- what it came to, as in `held`
    kind     INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    decider  TEXT,
    decision TEXT,
    at       INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX hook_calls_due ON hook_calls (due);
CREATE INDEX hook_calls_message ON hook_calls (message);

CREATE TRIGGER hook_held AFTER INSERT ON held WHEN NEW.state = 0 BEGIN
    INSERT INTO hook_calls (message, url, state, kind, expires, at, due)
    SELECT NEW.message, url, NEW.state, NEW.kind, NEW.expires,
        CAST(unixepoch('subsec') * 1000 AS INTEGER), 0 FROM hooks WHERE events & 1;
END;
CREATE TRIGGER hook_held_again AFTER UPDATE OF state ON held WHEN NEW.state = 0 AND OLD.state <> 0 BEGIN
    INSERT INTO hook_calls (message, url, state, kind, expires, at, due)
    SELECT NEW.message, url, NEW.state, NEW.kind, NEW.expires,
        CAST(unixepoch('subsec') * 1000 AS INTEGER), 0 FROM hooks WHERE events & 1;
END;
CREATE TRIGGER hook_decided AFTER UPDATE OF state ON held WHEN NEW.state <> 0 AND OLD.state <> NEW.state BEGIN
    INSERT INTO hook_calls (message, url, state, kind, expires, decider, decision, at, due)
    SELECT NEW.message, url, NEW.state, NEW.kind, NEW.expires, NEW.decided_by, NEW.decision,
        coalesce(NEW.decided_at, 0), 0 FROM hooks WHERE events & 2;
END;
