-- Version 4: people: sessions, links, codes, tokens; and which held message concerns whom.

-- Of every secret only its SHA-256 is here.
CREATE TABLE sessions (
    hash    BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    name    TEXT    NOT NULL,     -- what the record calls them
    who     TEXT    NOT NULL,     -- JSON
    made    INTEGER NOT NULL,
    seen    INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE links (
    hash    BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    message INTEGER NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
    person  TEXT    NOT NULL,     -- the address it was sent to
    action  INTEGER NOT NULL CHECK (action >= 0),
    content BLOB    NOT NULL CHECK (length(content) = 32),
    made    INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used    INTEGER,
    outcome TEXT,
    CHECK ((used IS NULL) = (outcome IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX links_message ON links (message);

-- A code by mail: good in the browser that asked for it.
CREATE TABLE codes (
    browser BLOB    NOT NULL PRIMARY KEY CHECK (length(browser) = 32),
    person  TEXT    NOT NULL,
    code    BLOB    NOT NULL CHECK (length(code) = 32),
    tries   INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_expires ON codes (expires);

CREATE TABLE api_tokens (
    name    TEXT    NOT NULL PRIMARY KEY,
    hash    BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes  TEXT    NOT NULL,     -- separated by blanks
    made_by TEXT    NOT NULL,
    made    INTEGER NOT NULL,
    used    INTEGER,
    expires INTEGER
) STRICT, WITHOUT ROWID;

-- Whom and what a held message concerns, so that every list is a range of rows, newest last:
-- `*` everything; `s:`, `r:`, `a:` with an address (or `@domain`) who sent it, whom it goes to, who is
-- asked; `u:` with the name of a rule that holds it.
CREATE TABLE held_terms (
    term    TEXT    NOT NULL,
    state   INTEGER NOT NULL,
    message INTEGER NOT NULL REFERENCES held (message) ON DELETE CASCADE,
    PRIMARY KEY (term, state, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_terms_message ON held_terms (message);

-- Subjects of held messages, as pairs of letters that stand beside each other.
CREATE VIRTUAL TABLE held_subjects USING fts5 (
    pairs, content = '', contentless_delete = 1, tokenize = 'ascii'
);

CREATE TRIGGER held_came AFTER INSERT ON held BEGIN
    INSERT INTO held_terms (term, state, message) VALUES ('*', new.state, new.message);
END;
CREATE TRIGGER held_changed AFTER UPDATE OF state ON held WHEN old.state <> new.state BEGIN
    UPDATE held_terms SET state = new.state WHERE message = new.message;
END;
CREATE TRIGGER held_went AFTER DELETE ON held BEGIN
    DELETE FROM held_subjects WHERE rowid = old.message;
END;
CREATE TRIGGER held_assigned AFTER INSERT ON held_approvers BEGIN
    INSERT OR IGNORE INTO held_terms (term, state, message)
    SELECT 'a:' || new.approver, state, message FROM held WHERE message = new.message;
END;
CREATE TRIGGER held_withdrawn AFTER DELETE ON held_approvers BEGIN
    DELETE FROM held_terms WHERE message = old.message AND term = 'a:' || old.approver;
END;

INSERT INTO held_terms (term, state, message) SELECT '*', state, message FROM held;
INSERT OR IGNORE INTO held_terms (term, state, message)
SELECT 'a:' || a.approver, h.state, h.message FROM held_approvers a JOIN held h ON h.message = a.message;
-- The lines of `people`: MAIL FROM first, then every RCPT TO.
WITH RECURSIVE lines (message, state, part, line, rest) AS (
    SELECT h.message, h.state, 's:', NULL, substr(coalesce(m.keys, m.people), 2)
    FROM held h JOIN messages m ON m.row = h.message
    UNION ALL
    SELECT message, state, CASE WHEN line IS NULL THEN 's:' ELSE 'r:' END,
        substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
    FROM lines WHERE instr(rest, char(10)) > 0
)
INSERT OR IGNORE INTO held_terms (term, state, message)
SELECT part || line, state, message FROM lines WHERE line <> ''
UNION ALL
SELECT part || substr(line, instr(line, '@')), state, message FROM lines WHERE instr(line, '@') > 1;
