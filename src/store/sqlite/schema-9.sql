-- Version 9: what observe mode would have done, and totals that outlive the rows they were counted from.

CREATE TABLE observed (
    message   INTEGER PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    action    TEXT    NOT NULL,    -- what would have been done
    prevented INTEGER NOT NULL,    -- the exposures that would have prevented
    rules     TEXT    NOT NULL     -- which demanded something, and why, JSON
) STRICT;

-- Counted as it happens, by triggers, so that no statement forgets it; a purge takes nothing away.
CREATE TABLE totals (
    kind  INTEGER NOT NULL,        -- 1 accepted, 2 exposures prevented, 3 and 4 the same of `observed`,
    name  TEXT    NOT NULL,        -- by action; 5 deliveries that ended, by the number of their state
    value INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

INSERT INTO totals SELECT 1, action, count(*) FROM messages WHERE action <> 'own' GROUP BY action;
INSERT INTO totals SELECT 2, '', coalesce(sum(exposures), 0) FROM messages WHERE prevented = 1;
INSERT INTO totals SELECT 5, state, count(*) FROM deliveries WHERE state >= 5 GROUP BY state;

CREATE TRIGGER total_accepted AFTER INSERT ON messages WHEN new.action <> 'own' BEGIN
    INSERT INTO totals VALUES (1, new.action, 1) ON CONFLICT DO UPDATE SET value = value + 1;
END;
CREATE TRIGGER total_prevented AFTER INSERT ON messages WHEN new.prevented = 1 AND new.exposures > 0 BEGIN
    UPDATE totals SET value = value + new.exposures WHERE kind = 2;
END;
-- A decision that is undone and made again counts once: the row remembers that it was counted.
ALTER TABLE messages ADD COLUMN counted INTEGER NOT NULL DEFAULT 0 CHECK (counted IN (0, 1));
CREATE TRIGGER total_undone AFTER UPDATE OF prevented ON messages WHEN new.prevented = 0 AND old.prevented = 1 BEGIN
    UPDATE messages SET counted = 1 WHERE row = new.row;
END;
CREATE TRIGGER total_decided AFTER UPDATE OF prevented ON messages
WHEN new.prevented = 1 AND old.prevented = 0 AND new.counted = 0 BEGIN
    UPDATE totals SET value = value + new.exposures WHERE kind = 2;
END;
CREATE TRIGGER total_observed AFTER INSERT ON observed BEGIN
    INSERT INTO totals VALUES (3, new.action, 1) ON CONFLICT DO UPDATE SET value = value + 1;
    INSERT INTO totals VALUES (4, '', new.prevented) ON CONFLICT DO UPDATE SET value = value + new.prevented;
END;
CREATE TRIGGER total_born_ended AFTER INSERT ON deliveries WHEN new.state >= 5 BEGIN
    INSERT INTO totals VALUES (5, new.state, 1) ON CONFLICT DO UPDATE SET value = value + 1;
END;
CREATE TRIGGER total_ended AFTER UPDATE OF state ON deliveries WHEN new.state >= 5 AND old.state < 5 BEGIN
    INSERT INTO totals VALUES (5, new.state, 1) ON CONFLICT DO UPDATE SET value = value + 1;
END;
