-- Version 8: the journal's chain does not grow for ever; hooks are told of a mail once.

-- Where the chain was cut: all before is past its time.
CREATE TABLE chain_cut (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    seq   INTEGER NOT NULL,        -- the last entry that was cut off
    mac   BLOB    NOT NULL,        -- its link, which the next one is made over
    first INTEGER NOT NULL,        -- the first message that was ever in the chain
    seal  BLOB    NOT NULL         -- over these, under the chain's key: nobody else can cut
) STRICT;

-- Calls are put down by the program from now on: it knows when something happened, and which
-- transactions are one mail.
DROP TRIGGER hook_held;
DROP TRIGGER hook_held_again;
DROP TRIGGER hook_decided;

-- The highest row of a message that was purged: rows are given once, for the chain knows them by it.
CREATE TABLE last_purged (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    message INTEGER NOT NULL
) STRICT;
INSERT INTO last_purged (one, message)
    SELECT 1, coalesce(max(gone.value), 0) FROM purges, json_each(purges.messages) AS gone;
