-- Version 19: what is counted is counted once a statement, and not once a row; and which transactions belong to one
-- mail is noted where there are several, so that nobody looks for them among all that came at that time.

CREATE TABLE later_transactions (
    message BIGINT PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    earlier BIGINT NOT NULL
);
CREATE INDEX later_transactions_earlier ON later_transactions (earlier);
INSERT INTO later_transactions (message, earlier)
    SELECT row, first FROM (
        SELECT row, first_value(row) OVER (PARTITION BY substr(fork, 1, 24) ORDER BY row) AS first
        FROM messages WHERE fork IS NOT NULL
    ) AS m WHERE first < row;

CREATE FUNCTION messages_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO totals AS t (kind, name, value)
        SELECT c.kind, c.name, sum(c.more) FROM (
            SELECT 1 AS kind, action AS name, 1 AS more FROM new_rows WHERE action <> 'own'
            UNION ALL
            SELECT 2, '', exposures FROM new_rows WHERE prevented = 1 AND exposures > 0
        ) AS c GROUP BY c.kind, c.name
        ON CONFLICT (kind, name) DO UPDATE SET value = t.value + excluded.value;
    RETURN NULL;
END $$;
DROP TRIGGER message_counted ON messages;
DROP TRIGGER own_counted ON messages;
CREATE TRIGGER messages_counted AFTER INSERT ON messages REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION messages_counted();

-- Deliveries that ended are counted, those that succeeded are noted for the chain. One that had ended before is not
-- counted again.
CREATE FUNCTION deliveries_born_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT EXISTS (SELECT FROM new_rows WHERE state >= 5) THEN
        RETURN NULL;
    END IF;
    INSERT INTO totals AS t (kind, name, value)
        SELECT 5, state::text, count(*) FROM new_rows WHERE state >= 5 GROUP BY state
        ON CONFLICT (kind, name) DO UPDATE SET value = t.value + excluded.value;
    IF current_setting('sekisho.writes', true) = 'on' THEN
        INSERT INTO pg_temp.touched SELECT 2, row FROM new_rows WHERE state = 5;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION deliveries_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT EXISTS (SELECT FROM new_rows WHERE state >= 5) THEN
        RETURN NULL;
    END IF;
    INSERT INTO totals AS t (kind, name, value)
        SELECT 5, n.state::text, count(*) FROM new_rows n
        WHERE n.state >= 5 AND n.row NOT IN (SELECT o.row FROM old_rows o WHERE o.state >= 5) GROUP BY n.state
        ON CONFLICT (kind, name) DO UPDATE SET value = t.value + excluded.value;
    IF current_setting('sekisho.writes', true) = 'on' THEN
        INSERT INTO pg_temp.touched SELECT 2, row FROM new_rows WHERE state = 5;
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER delivery_born_ended ON deliveries;
DROP TRIGGER delivery_ended ON deliveries;
CREATE TRIGGER deliveries_born_ended AFTER INSERT ON deliveries REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION deliveries_born_ended();
CREATE TRIGGER deliveries_ended AFTER UPDATE ON deliveries REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION deliveries_ended();
