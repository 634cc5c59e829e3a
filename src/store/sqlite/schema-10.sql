-- Version 10: time that really went by, and what the journal's chain did not cover.

-- Where the relay's clock stood, in whose time all moments are stored, and what the system's said then.
CREATE TABLE clocks (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    relay INTEGER NOT NULL,
    wall  INTEGER NOT NULL
) STRICT;

-- SHA-256 of the header as it came. Its acceptance in the chain covers it and the subject; and of a message
-- that has one, every decision and every success is in the chain.
ALTER TABLE messages ADD COLUMN sealed BLOB;

-- What an entry is: 0 an acceptance, a journal entry or a purge, as its key says; 1 what was decided on the
-- held message `entry`; 2 how the delivery `entry` succeeded.
ALTER TABLE chain ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
