-- Version 13: the newest mail of a sender, and passkeys.

-- MAIL FROM in comparison form. Mail of our own making is nobody's.
CREATE INDEX messages_sender ON messages (
    substr(coalesce(keys, people), 2, instr(substr(coalesce(keys, people), 2), char(10)) - 1)
) WHERE action <> 'own';

-- Public keys that people sign in with. Whose one is, is said by `name`, as in sessions.
CREATE TABLE passkeys (
    id        BLOB    NOT NULL PRIMARY KEY,  -- the credential's, as the authenticator made it
    name      TEXT    NOT NULL,              -- whose
    keys      TEXT    NOT NULL,              -- their addresses in comparison form, JSON
    label     TEXT    NOT NULL,              -- what they call it
    who       TEXT    NOT NULL,              -- how they were known when they made it, JSON
    algorithm INTEGER NOT NULL,              -- COSE
    key       BLOB    NOT NULL,              -- SubjectPublicKeyInfo
    count     INTEGER NOT NULL,              -- the authenticator's counter when it was last used
    made      INTEGER NOT NULL,
    used      INTEGER
) STRICT, WITHOUT ROWID;
