-- The tables as SQLite has them at version 16, in PostgreSQL's words. Databases out there are made by this
-- text: it never changes; what comes later is a step of its own, which only adds what programs of the version
-- before do not look at, and takes away what they no longer use.

-- Texts are compared octet by octet, as SQLite compares them.
CREATE DOMAIN txt AS text COLLATE "C";

-- The version of these tables, and the oldest version of a program that can work with them.
CREATE TABLE sekisho_schema (
    one     BIGINT PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL,
    oldest  BIGINT NOT NULL,
    -- Of the key that the journal's chain is made with: every node has the same.
    key     BYTEA
);

-- A JSON list of texts.
CREATE FUNCTION texts_of(list text) RETURNS TABLE (value text) LANGUAGE sql IMMUTABLE
    AS $$ SELECT json_array_elements_text(list::json) $$;
-- Pairs of letters, of which all but the last stand whole in what begins with them.
CREATE FUNCTION pairs_of(pairs text) RETURNS text[] LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE WHEN pairs LIKE ' %' AND pairs NOT LIKE '% ' THEN '{}'::text[]
          ELSE string_to_array(btrim(pairs), ' ') END $$;
CREATE FUNCTION now_in_millis() RETURNS BIGINT LANGUAGE sql VOLATILE
    AS $$ SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) $$;

CREATE TABLE messages (
    row        BIGINT PRIMARY KEY,
    id         TXT    NOT NULL UNIQUE CHECK (length(id) = 16),
    received   BIGINT NOT NULL,
    people     TXT    NOT NULL,
    keys       TXT,
    message_id TXT    NOT NULL,
    subject    TXT    NOT NULL,
    action     TXT    NOT NULL,
    exposures  BIGINT NOT NULL,
    prevented  BIGINT NOT NULL CHECK (prevented IN (0, 1)),
    events     TXT    NOT NULL,
    fork       BYTEA,
    counted    BIGINT NOT NULL DEFAULT 0 CHECK (counted IN (0, 1)),
    sealed     BYTEA
);
CREATE INDEX messages_sender ON messages (
    substr(coalesce(keys, people), 2, strpos(substr(coalesce(keys, people), 2), chr(10)) - 1), row
) WHERE action <> 'own';

CREATE TABLE contents (
    message BIGINT PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    file    TXT,                  -- the name of a large body, whose chunks stand in `chunks`
    size    BIGINT NOT NULL CHECK (size >= 0),
    meta    TXT    NOT NULL,
    needles TXT    NOT NULL,
    header  BYTEA  NOT NULL,
    body    BYTEA,
    CHECK ((file IS NULL) = (body IS NOT NULL))
);
ALTER TABLE contents ALTER COLUMN header SET STORAGE EXTERNAL, ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX contents_file ON contents (file) WHERE file IS NOT NULL;

-- Large bodies. One that no message names is invisible, and swept when it is old, or when its node starts.
CREATE TABLE bodies (
    name TXT    PRIMARY KEY,
    node TXT    NOT NULL,
    made BIGINT NOT NULL DEFAULT now_in_millis()
);
CREATE TABLE chunks (
    name   TXT    NOT NULL REFERENCES bodies (name) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    octets BYTEA  NOT NULL,
    PRIMARY KEY (name, number)
);
ALTER TABLE chunks ALTER COLUMN octets SET STORAGE EXTERNAL;

CREATE TABLE deliveries (
    row        BIGINT PRIMARY KEY,
    state      BIGINT NOT NULL CHECK (state BETWEEN 0 AND 7),
    due        BIGINT,
    token      BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,
    duplicate  BIGINT NOT NULL CHECK (duplicate IN (0, 1)),
    queued     BIGINT NOT NULL,
    ended      BIGINT,
    recipients BIGINT NOT NULL CHECK (recipients > 0),
    reply      TXT    NOT NULL,
    copy       BYTEA  NOT NULL,
    node       TXT                -- who has the lease, while there is one
) WITH (fillfactor = 80);
CREATE INDEX deliveries_open ON deliveries (due) WHERE state < 5;

CREATE TABLE journal (
    row   BIGINT PRIMARY KEY,
    at    BIGINT NOT NULL,
    event TXT    NOT NULL
);

CREATE TABLE held (
    message    BIGINT PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    state      BIGINT NOT NULL CHECK (state BETWEEN 0 AND 3),
    kind       BIGINT NOT NULL CHECK (kind BETWEEN 0 AND 2),
    expires    BIGINT NOT NULL,
    reasons    TXT    NOT NULL,
    hits       TXT    NOT NULL,
    decided_by TXT,
    decided_at BIGINT,
    decision   TXT,
    item       BIGINT NOT NULL DEFAULT 0,
    mail       BYTEA,
    adds_to    BIGINT,
    members    BIGINT NOT NULL DEFAULT 1,
    awaited    TXT    NOT NULL DEFAULT '[]',
    way        TXT,
    undo_until BIGINT,
    author     TXT    NOT NULL DEFAULT '',
    files      TXT    NOT NULL DEFAULT '',
    CHECK ((state = 0) = (decided_by IS NULL)),
    CHECK ((state = 0) = (decided_at IS NULL))
);
CREATE INDEX held_open ON held (expires) WHERE state = 0;
CREATE INDEX held_mail ON held (mail) WHERE mail IS NOT NULL;
CREATE INDEX held_item ON held (item);

CREATE TABLE held_approvers (
    approver TXT    NOT NULL,
    message  BIGINT NOT NULL REFERENCES held (message) ON DELETE CASCADE,
    PRIMARY KEY (approver, message)
);
CREATE INDEX held_approvers_message ON held_approvers (message);

CREATE TABLE held_terms (
    term    TXT    NOT NULL,
    state   BIGINT NOT NULL,
    message BIGINT NOT NULL REFERENCES held (message) ON DELETE CASCADE,
    PRIMARY KEY (term, state, message)
);
CREATE INDEX held_terms_message ON held_terms (message);

-- Pairs of letters that stand beside each other in subjects, and in the names of attachments.
CREATE TABLE held_subjects (
    rowid BIGINT PRIMARY KEY REFERENCES held (message) ON DELETE CASCADE,
    pairs TXT    NOT NULL
);
CREATE INDEX held_subjects_pairs ON held_subjects USING gin (pairs_of(pairs));
CREATE TABLE held_files (
    rowid BIGINT PRIMARY KEY REFERENCES held (message) ON DELETE CASCADE,
    pairs TXT    NOT NULL
);
CREATE INDEX held_files_pairs ON held_files USING gin (pairs_of(pairs));

CREATE TABLE notices (
    row     BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    message BIGINT NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
    kind    BIGINT NOT NULL CHECK (kind >= 0),
    due     BIGINT,
    state   BIGINT NOT NULL CHECK (state BETWEEN 0 AND 2)
);
CREATE UNIQUE INDEX notices_open ON notices (message, kind) WHERE state = 0;
CREATE INDEX notices_due ON notices (due) WHERE state = 0;
CREATE INDEX notices_message ON notices (message);

CREATE TABLE ledger (
    week       BIGINT NOT NULL,
    message_id TXT    NOT NULL,
    message    BIGINT NOT NULL,
    disclosed  TXT    NOT NULL,
    PRIMARY KEY (week, message_id, message)
);

CREATE TABLE probe (
    row  BIGINT PRIMARY KEY CHECK (row = 1),
    beat BIGINT NOT NULL
);
INSERT INTO probe (row, beat) VALUES (1, 0);

CREATE TABLE taken (
    message BIGINT PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    at      BIGINT NOT NULL,
    by      TXT    NOT NULL,
    undone  BIGINT NOT NULL DEFAULT 0 CHECK (undone IN (0, 1))
);

CREATE TABLE circles (
    row      BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name     TXT    NOT NULL,
    members  TXT    NOT NULL,
    expires  BIGINT NOT NULL,
    made_by  TXT    NOT NULL,
    made_at  BIGINT NOT NULL,
    ended_by TXT,
    ended_at BIGINT
);

-- Numbered without a gap, in the order of their commits: whoever writes has the writers' lock.
CREATE TABLE chain (
    seq    BIGINT PRIMARY KEY,
    entry  BIGINT NOT NULL,
    digest BYTEA  NOT NULL,
    mac    BYTEA,
    kind   BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE purges (
    row      BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    messages TXT NOT NULL
);
CREATE TABLE chain_cut (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    seq   BIGINT NOT NULL,
    mac   BYTEA  NOT NULL,
    first BIGINT NOT NULL,
    seal  BYTEA  NOT NULL
);
CREATE TABLE foreign_accepted (
    row   BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at    BIGINT NOT NULL,
    by    TXT    NOT NULL,
    why   TXT    NOT NULL,
    found TXT    NOT NULL
);
CREATE TABLE last_purged (
    one     BIGINT PRIMARY KEY CHECK (one = 1),
    message BIGINT NOT NULL
);
INSERT INTO last_purged (one, message) VALUES (1, 0);

CREATE TABLE sessions (
    hash    BYTEA  NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    name    TXT    NOT NULL,
    who     TXT    NOT NULL,
    made    BIGINT NOT NULL,
    seen    BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX sessions_expires ON sessions (expires);
CREATE TABLE links (
    hash    BYTEA  NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    message BIGINT NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
    person  TXT    NOT NULL,
    action  BIGINT NOT NULL CHECK (action >= 0),
    content BYTEA  NOT NULL CHECK (length(content) = 32),
    made    BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used    BIGINT,
    outcome TXT,
    CHECK ((used IS NULL) = (outcome IS NULL))
);
CREATE INDEX links_message ON links (message);
CREATE TABLE codes (
    browser BYTEA  NOT NULL PRIMARY KEY CHECK (length(browser) = 32),
    person  TXT    NOT NULL,
    code    BYTEA  NOT NULL CHECK (length(code) = 32),
    tries   BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX codes_expires ON codes (expires);
CREATE TABLE api_tokens (
    name    TXT    NOT NULL PRIMARY KEY,
    hash    BYTEA  NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes  TXT    NOT NULL,
    made_by TXT    NOT NULL,
    made    BIGINT NOT NULL,
    used    BIGINT,
    expires BIGINT
);
CREATE TABLE passkeys (
    id        BYTEA  NOT NULL PRIMARY KEY,
    name      TXT    NOT NULL,
    keys      TXT    NOT NULL,
    label     TXT    NOT NULL,
    who       TXT    NOT NULL,
    algorithm BIGINT NOT NULL,
    key       BYTEA  NOT NULL,
    count     BIGINT NOT NULL,
    made      BIGINT NOT NULL,
    used      BIGINT
);
CREATE TABLE languages (
    person   TXT NOT NULL PRIMARY KEY,
    language TXT NOT NULL
);
CREATE TABLE absences (
    row      BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    approver TXT    NOT NULL,
    key      TXT    NOT NULL,
    deputy   TXT    NOT NULL,
    until    TXT    NOT NULL,
    made_by  TXT    NOT NULL,
    made_at  BIGINT NOT NULL,
    ended_by TXT,
    ended_at BIGINT
);
CREATE INDEX absences_open ON absences (key) WHERE ended_at IS NULL;

CREATE TABLE asks (
    row      BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    message  BIGINT NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
    approver TXT    NOT NULL,
    why      BIGINT NOT NULL CHECK (why >= 0),
    digest   BIGINT NOT NULL CHECK (digest IN (0, 1)),
    due      BIGINT NOT NULL,
    state    BIGINT NOT NULL CHECK (state BETWEEN 0 AND 2)
);
CREATE INDEX asks_due ON asks (due) WHERE state = 0;
CREATE INDEX asks_message ON asks (message);
CREATE INDEX asks_approver ON asks (approver) WHERE state = 0 AND digest = 1;
CREATE TABLE hooks (
    url    TXT    PRIMARY KEY,
    events BIGINT NOT NULL CHECK (events BETWEEN 1 AND 3)
);
CREATE TABLE hook_calls (
    row      BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    message  BIGINT NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
    url      TXT    NOT NULL,
    state    BIGINT NOT NULL CHECK (state BETWEEN 0 AND 3),
    kind     BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    decider  TXT,
    decision TXT,
    at       BIGINT NOT NULL,
    due      BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    node     TXT,                 -- who makes the call,
    claimed  BIGINT               -- unless it is not over by then
);
CREATE INDEX hook_calls_due ON hook_calls (due);
CREATE INDEX hook_calls_message ON hook_calls (message);

CREATE TABLE correspondents (
    sender    TXT    NOT NULL,
    recipient TXT    NOT NULL,
    last      BIGINT NOT NULL,
    PRIMARY KEY (sender, recipient)
);
CREATE TABLE memory (
    kind  BIGINT NOT NULL,
    name  TXT    NOT NULL,
    value TXT    NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE TABLE observed (
    message   BIGINT PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    action    TXT    NOT NULL,
    prevented BIGINT NOT NULL,
    rules     TXT    NOT NULL
);
CREATE TABLE totals (
    kind  BIGINT NOT NULL,
    name  TXT    NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
) WITH (fillfactor = 50);
INSERT INTO totals VALUES (2, '', 0);
CREATE TABLE clocks (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    relay BIGINT NOT NULL,
    wall  BIGINT NOT NULL
);

CREATE TABLE learning (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    salt  BYTEA  NOT NULL,
    began BIGINT NOT NULL
);
INSERT INTO learning VALUES (
    1, sha256(decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')), now_in_millis()
);
CREATE TABLE known_sets (
    number BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    digest BIGINT,
    since  BIGINT NOT NULL,
    last   BIGINT NOT NULL,
    people BYTEA  NOT NULL
);
CREATE UNIQUE INDEX known_sets_digest ON known_sets (digest) WHERE digest IS NOT NULL;
CREATE TABLE known_mails (
    mail   BIGINT PRIMARY KEY,
    number BIGINT NOT NULL,
    day    BIGINT NOT NULL,
    source BIGINT NOT NULL
);
CREATE TABLE known_lists (
    person  BIGINT NOT NULL,
    first   BIGINT NOT NULL,
    numbers BYTEA  NOT NULL,
    PRIMARY KEY (person, first)
);
CREATE TABLE released_sets (
    digest BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (digest, at)
);
CREATE TABLE untaught (message BIGINT PRIMARY KEY);

-- Relays that share this database. Whoever has the name has a lock on it as long as it is connected.
CREATE TABLE nodes (
    name    TXT    PRIMARY KEY,
    version TXT    NOT NULL,
    started BIGINT NOT NULL,
    seen    BIGINT NOT NULL
);

-- What follows from a change without being asked for, as in SQLite.
CREATE FUNCTION chain_numbered() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.seq IS NULL THEN
        NEW.seq := coalesce((SELECT max(seq) FROM chain), (SELECT max(seq) FROM chain_cut), 0) + 1;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER chain_numbered BEFORE INSERT ON chain FOR EACH ROW EXECUTE FUNCTION chain_numbered();

-- The relay notes what it touched, for the chain: only sessions of its writers have that table.
CREATE FUNCTION held_touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('sekisho.writes', true) = 'on' THEN
        INSERT INTO pg_temp.touched VALUES (1, NEW.message << 24);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER held_touched AFTER INSERT OR UPDATE ON held FOR EACH ROW EXECUTE FUNCTION held_touched();

CREATE FUNCTION held_came() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO held_terms (term, state, message) VALUES ('*', NEW.state, NEW.message);
    RETURN NULL;
END $$;
CREATE TRIGGER held_came AFTER INSERT ON held FOR EACH ROW EXECUTE FUNCTION held_came();
CREATE FUNCTION held_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE held_terms SET state = NEW.state WHERE message = NEW.message;
    RETURN NULL;
END $$;
CREATE TRIGGER held_changed AFTER UPDATE OF state ON held FOR EACH ROW WHEN (OLD.state <> NEW.state)
    EXECUTE FUNCTION held_changed();
CREATE FUNCTION held_assigned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO held_terms (term, state, message)
        SELECT 'a:' || NEW.approver, state, message FROM held WHERE message = NEW.message
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER held_assigned AFTER INSERT ON held_approvers FOR EACH ROW EXECUTE FUNCTION held_assigned();
CREATE FUNCTION held_withdrawn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM held_terms WHERE message = OLD.message AND term = 'a:' || OLD.approver;
    RETURN NULL;
END $$;
CREATE TRIGGER held_withdrawn AFTER DELETE ON held_approvers FOR EACH ROW EXECUTE FUNCTION held_withdrawn();

CREATE FUNCTION counted(of_kind BIGINT, of_name text, more BIGINT) RETURNS void LANGUAGE sql AS $$
    INSERT INTO totals AS t VALUES (of_kind, of_name, more)
        ON CONFLICT (kind, name) DO UPDATE SET value = t.value + excluded.value
$$;
CREATE FUNCTION message_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM counted(1, NEW.action, 1);
    IF NEW.prevented = 1 AND NEW.exposures > 0 THEN
        PERFORM counted(2, '', NEW.exposures);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER message_counted AFTER INSERT ON messages FOR EACH ROW WHEN (NEW.action <> 'own')
    EXECUTE FUNCTION message_counted();
CREATE FUNCTION own_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM counted(2, '', NEW.exposures);
    RETURN NULL;
END $$;
CREATE TRIGGER own_counted AFTER INSERT ON messages FOR EACH ROW
    WHEN (NEW.action = 'own' AND NEW.prevented = 1 AND NEW.exposures > 0) EXECUTE FUNCTION own_counted();
CREATE FUNCTION prevented_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.prevented = 0 AND OLD.prevented = 1 THEN
        UPDATE messages SET counted = 1 WHERE row = NEW.row;
    ELSIF NEW.prevented = 1 AND OLD.prevented = 0 AND NEW.counted = 0 THEN
        PERFORM counted(2, '', NEW.exposures);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER prevented_changed AFTER UPDATE OF prevented ON messages FOR EACH ROW
    WHEN (NEW.prevented <> OLD.prevented) EXECUTE FUNCTION prevented_changed();
CREATE FUNCTION observed_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM counted(3, NEW.action, 1);
    PERFORM counted(4, '', NEW.prevented);
    RETURN NULL;
END $$;
CREATE TRIGGER observed_counted AFTER INSERT ON observed FOR EACH ROW EXECUTE FUNCTION observed_counted();

-- A delivery that ended is counted, one that succeeded is noted for the chain.
CREATE FUNCTION delivery_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' OR OLD.state < 5 THEN
        PERFORM counted(5, NEW.state::text, 1);
    END IF;
    IF NEW.state = 5 AND current_setting('sekisho.writes', true) = 'on' THEN
        INSERT INTO pg_temp.touched VALUES (2, NEW.row);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER delivery_born_ended AFTER INSERT ON deliveries FOR EACH ROW WHEN (NEW.state >= 5)
    EXECUTE FUNCTION delivery_ended();
CREATE TRIGGER delivery_ended AFTER UPDATE OF state ON deliveries FOR EACH ROW WHEN (NEW.state >= 5)
    EXECUTE FUNCTION delivery_ended();

-- Whoever takes a lease is its node.
CREATE FUNCTION delivery_leased() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.node := CASE WHEN NEW.state = 3 THEN current_setting('sekisho.node', true) END;
    RETURN NEW;
END $$;
CREATE TRIGGER delivery_leased BEFORE INSERT ON deliveries FOR EACH ROW WHEN (NEW.state = 3)
    EXECUTE FUNCTION delivery_leased();
CREATE TRIGGER delivery_released BEFORE UPDATE OF state ON deliveries FOR EACH ROW
    WHEN (NEW.state = 3 OR OLD.state = 3) EXECUTE FUNCTION delivery_leased();

-- Other nodes hear of what may be due earlier than they look.
CREATE FUNCTION told_others() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_notify('sekisho', coalesce(current_setting('sekisho.node', true), ''));
    RETURN NULL;
END $$;
CREATE TRIGGER deliveries_told AFTER INSERT OR UPDATE OF state ON deliveries FOR EACH ROW WHEN (NEW.state < 3)
    EXECUTE FUNCTION told_others();
CREATE TRIGGER notices_told AFTER INSERT ON notices FOR EACH ROW EXECUTE FUNCTION told_others();
