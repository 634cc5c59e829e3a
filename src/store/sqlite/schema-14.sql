-- Version 14: what a list shows of a held message beside its people, and searches for: who wrote it, by name,
-- and what is attached.

ALTER TABLE held ADD COLUMN author TEXT NOT NULL DEFAULT '';  -- the display name of From
ALTER TABLE held ADD COLUMN files TEXT NOT NULL DEFAULT '';   -- names of attachments, each on a line

-- Names of attachments, as pairs of letters that stand beside each other: see held_subjects.
CREATE VIRTUAL TABLE held_files USING fts5 (
    pairs, content = '', contentless_delete = 1, tokenize = 'ascii'
);
CREATE TRIGGER held_files_went AFTER DELETE ON held WHEN OLD.files <> '' BEGIN
    DELETE FROM held_files WHERE rowid = OLD.message;
END;
