-- Version 16: the language that people chose at the desk.

CREATE TABLE languages (
    person   TEXT    NOT NULL PRIMARY KEY,  -- an address in comparison form
    language TEXT    NOT NULL               -- JSON
) STRICT, WITHOUT ROWID;
