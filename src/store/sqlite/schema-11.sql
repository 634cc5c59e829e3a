-- Version 11: what somebody else wrote to the database, and an admin has looked at.

CREATE TABLE foreign_accepted (
    row   INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    by    TEXT    NOT NULL,        -- the operating system's user
    why   TEXT    NOT NULL,
    found TEXT    NOT NULL         -- JSON: entries taken off the chain's end, and what differs from it
) STRICT;
