-- Version 11: the newest mail of a sender, and passkeys.

-- MAIL FROM in comparison form. Mail of our own making is nobody's.
CREATE INDEX messages_sender ON messages (
    substr(coalesce(keys, people), 2, instr(substr(coalesce(keys, people), 2), char(10)) - 1)
) WHERE action <> 'own';

-- Public keys that people sign in with. Whose one is, is said by `name`, as in sessions.
CREATE TABLE passkeys (
    id     BLOB    NOT NULL PRIMARY KEY,  -- the credential's, as the authenticator made it
    name   TEXT    NOT NULL,              -- whose
    label  TEXT    NOT NULL,              -- what they call it
    who    TEXT    NOT NULL,              -- JSON: their addresses, and how they were known when it was made
    key    BLOB    NOT NULL,              -- the public key, COSE
    count  INTEGER NOT NULL,              -- the authenticator's counter when it was last used
    made   INTEGER NOT NULL,
    used   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX passkeys_name ON passkeys (name);
