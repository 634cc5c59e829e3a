-- What is worth knowing again after a restart, and costs a detour at most when it is lost: policies of
-- MTA-STS by domain (kind 1), networks that gave the right password of an account (kind 2).
CREATE TABLE memory (
    kind  INTEGER NOT NULL,
    name  TEXT    NOT NULL,
    value TEXT    NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
