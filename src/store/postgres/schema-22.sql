-- Version 22: contents and the journal are parted by month, that is by their keys: the numbers of messages of a month
-- begin at a number of its own. What is there becomes the part below this month's, whose bound it is known to keep.
-- What no month's part takes stands in the rest.

SELECT pg_advisory_xact_lock(22896714941169665);

ALTER TABLE contents RENAME TO contents_old;
ALTER INDEX contents_pkey RENAME TO contents_old_pkey;
ALTER INDEX contents_file RENAME TO contents_old_file;
-- A part has the checks of the whole, by the same names.
CREATE TABLE contents (
    message BIGINT PRIMARY KEY,
    file    TXT,
    size    BIGINT NOT NULL CONSTRAINT contents_size_check CHECK (size >= 0),
    meta    TXT    NOT NULL,
    needles TXT    NOT NULL,
    header  BYTEA  NOT NULL,
    body    BYTEA,
    CONSTRAINT contents_check CHECK ((file IS NULL) = (body IS NOT NULL)),
    CONSTRAINT contents_message_fkey FOREIGN KEY (message) REFERENCES messages (row) ON DELETE CASCADE
) PARTITION BY RANGE (message);
CREATE INDEX contents_file ON contents (file) WHERE file IS NOT NULL;

ALTER TABLE journal RENAME TO journal_old;
ALTER INDEX journal_pkey RENAME TO journal_old_pkey;
CREATE TABLE journal (
    row   BIGINT PRIMARY KEY,
    at    BIGINT NOT NULL,
    event TXT    NOT NULL
) PARTITION BY RANGE (row);

DO $$ DECLARE
    of_table TEXT;
    bound    TEXT;
BEGIN
    FOREACH of_table IN ARRAY ARRAY['contents', 'journal'] LOOP
        SELECT substring(pg_get_constraintdef(oid) FROM '[0-9]{4,}') INTO STRICT bound
            FROM pg_constraint WHERE conrelid = (of_table || '_old')::regclass AND conname = of_table || '_old';
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%s)',
            of_table, of_table || '_old', bound);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', of_table || '_old', of_table || '_old');
        EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', of_table || '_rest', of_table);
    END LOOP;
END $$;
ALTER TABLE contents ALTER COLUMN header SET STORAGE EXTERNAL, ALTER COLUMN body SET STORAGE EXTERNAL;
