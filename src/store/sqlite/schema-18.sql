-- Version 18: which transactions belong to one mail is noted where there are several, so that nobody looks for them
-- among all that came at that time.

CREATE TABLE later_transactions (
    message INTEGER PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    earlier INTEGER NOT NULL
) STRICT;
CREATE INDEX later_transactions_earlier ON later_transactions (earlier);
INSERT INTO later_transactions (message, earlier)
    SELECT row, first FROM (
        SELECT row, first_value(row) OVER (PARTITION BY substr(fork, 1, 24) ORDER BY row) AS first
        FROM messages WHERE fork IS NOT NULL
    ) WHERE first < row;
