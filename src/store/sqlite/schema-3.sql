-- Version 3: forks of one mail, circles, the journal's chain.

-- Which mail a message is a transaction of (24 octets), and with which content (16).
ALTER TABLE messages ADD COLUMN fork BLOB;

-- An item is what people decide on: the first held message of a mail, with all that joined it.
ALTER TABLE held ADD COLUMN item INTEGER NOT NULL DEFAULT 0;   -- the item's message; its own for an item
UPDATE held SET item = message;
ALTER TABLE held ADD COLUMN mail BLOB;                         -- of an item: the first 24 octets of its fork
ALTER TABLE held ADD COLUMN adds_to INTEGER;                   -- the item that this one is an addendum to
ALTER TABLE held ADD COLUMN members INTEGER NOT NULL DEFAULT 1;
ALTER TABLE held ADD COLUMN awaited TEXT NOT NULL DEFAULT '[]'; -- whom the header names and no transaction brought
ALTER TABLE held ADD COLUMN way TEXT;                          -- how it was released, for those who come late
ALTER TABLE held ADD COLUMN undo_until INTEGER;                -- taken back by its sender, who may undo that
CREATE INDEX held_mail ON held (mail) WHERE mail IS NOT NULL;
CREATE INDEX held_item ON held (item);

-- Delayed mail that its sender took back.
CREATE TABLE taken (
    message INTEGER PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,
    undone  INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1))
) STRICT;

-- People who may see each other, by an approver's word.
CREATE TABLE circles (
    row     INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL,
    members TEXT    NOT NULL,      -- JSON
    expires INTEGER NOT NULL,
    made_by TEXT    NOT NULL,
    made_at INTEGER NOT NULL,
    ended_by TEXT,
    ended_at INTEGER
) STRICT;

-- One chain over acceptances and journal entries, in the order of their commits.
CREATE TABLE chain (
    seq    INTEGER PRIMARY KEY,
    entry  INTEGER NOT NULL,       -- the base of a message's keys for its acceptance, a journal's key, or
                                   -- less than nothing: a purge
    digest BLOB    NOT NULL,       -- of the entry: what is left of it after a purge
    mac    BLOB                    -- of the last entry of a commit: over the one before and all since
) STRICT;

-- What purges removed.
CREATE TABLE purges (
    row      INTEGER PRIMARY KEY,
    messages TEXT NOT NULL         -- JSON
) STRICT;
