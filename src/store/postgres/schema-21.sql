-- Version 21: what is there is read, while mail goes on.

ALTER TABLE contents VALIDATE CONSTRAINT contents_old;
ALTER TABLE journal VALIDATE CONSTRAINT journal_old;
