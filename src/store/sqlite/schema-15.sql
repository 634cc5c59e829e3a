-- Version 15: the language that people chose at the desk.

CREATE TABLE languages (
    person   TEXT    NOT NULL PRIMARY KEY,  -- an address in comparison form
    language TEXT    NOT NULL               -- its tag (RFC 5646)
) STRICT, WITHOUT ROWID;
