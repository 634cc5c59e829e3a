-- Version 17: what decides for all relays that share a database. With SQLite there is one relay, and most of
-- these tables stay empty.

-- Guesses and other attempts that are limited; `name` is a hash of what is tried, and of who tries.
CREATE TABLE attempts (
    row  INTEGER PRIMARY KEY AUTOINCREMENT,
    name BLOB    NOT NULL CHECK (length(name) = 32),
    at   INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_name ON attempts (name, at);
CREATE INDEX attempts_at ON attempts (at);

-- The token buckets of an upstream's rates; `level` is tokens times the period in milliseconds.
CREATE TABLE buckets (
    upstream TEXT    NOT NULL,
    rate     TEXT    NOT NULL,
    level    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (upstream, rate)
) STRICT, WITHOUT ROWID;
-- The times that were assigned to transactions that came too early, with what was taken for each.
CREATE TABLE promises (
    row      INTEGER PRIMARY KEY AUTOINCREMENT,
    upstream TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    prices   TEXT    NOT NULL     -- JSON: tokens by rate
) STRICT;
CREATE INDEX promises_at ON promises (upstream, at);

-- What sending budgets have given out, by account and ten minutes.
CREATE TABLE spent (
    account TEXT    NOT NULL,
    slot    INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    PRIMARY KEY (account, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_slot ON spent (slot);

-- What is good once: links to sign in, challenges.
CREATE TABLE once (
    kind  INTEGER NOT NULL,
    name  BLOB    NOT NULL CHECK (length(name) = 32),
    value TEXT    NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX once_until ON once (kind, until);

-- Secrets that services replace, sealed with a key that is derived from the journal's.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Work that one relay does at a time, and until when that relay has it.
CREATE TABLE tasks (
    name  TEXT    NOT NULL PRIMARY KEY,
    node  TEXT    NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
