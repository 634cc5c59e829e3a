-- Version 12: who openly wrote with whom.

-- `salt` keys the digests below, so that nobody outside can make two meet; `began` is since when this
-- database keeps account of what leaves.
CREATE TABLE learning (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    salt   BLOB    NOT NULL,
    began  INTEGER NOT NULL
) STRICT;
INSERT INTO learning VALUES (1, randomblob(32), min(
    coalesce((SELECT min(received) FROM messages), 9223372036854775807),
    coalesce((SELECT min(week) FROM ledger) * 604800000, 9223372036854775807),
    CAST(unixepoch('subsec') * 1000 AS INTEGER)
));

-- Sets of outsiders whom one mail showed to each other: digests of their counting keys, eight octets each,
-- sorted; the first and the last day (since the Unix epoch) of such a mail. Numbers are never used again, for
-- lists of numbers only grow.
CREATE TABLE known_sets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest INTEGER,               -- NULL until everybody's list has it, and once somebody was taken out
    since  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    people BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX known_sets_digest ON known_sets (digest) WHERE digest IS NOT NULL;

-- Mails by a digest of their Message-ID.
CREATE TABLE known_mails (
    mail   INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    day    INTEGER NOT NULL,
    source INTEGER NOT NULL
) STRICT;

-- The sets that a person is in, as pieces of a list: numbers grow, each after the first as its distance
-- from the one before, seven bits an octet.
CREATE TABLE known_lists (
    person  INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    numbers BLOB    NOT NULL,
    PRIMARY KEY (person, first)
) STRICT, WITHOUT ROWID;

-- Sets of people (their digest) whom somebody let see each other by a release, and when.
CREATE TABLE released_sets (
    digest INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (digest, at)
) STRICT, WITHOUT ROWID;

-- Mails in the ledger that are still to be learned from: of what is delivered, once all is delivered or given
-- up.
CREATE TABLE untaught (
    message INTEGER PRIMARY KEY
) STRICT;
INSERT INTO untaught SELECT DISTINCT message FROM ledger;
