-- Version 6: whom each sender's mail reached before.

CREATE TABLE correspondents (
    sender    TEXT    NOT NULL,   -- comparison form
    recipient TEXT    NOT NULL,   -- comparison form
    last      INTEGER NOT NULL,   -- when a mail last reached them, to the day
    PRIMARY KEY (sender, recipient)
) STRICT, WITHOUT ROWID;
