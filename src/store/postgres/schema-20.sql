-- Version 20: below which number the rows of contents and of the journal are that are not parted by month: the first
-- of this month, or of a later one if there are that many rows. Nothing is read yet, so that mail waits for a moment
-- only; whoever adds rows meanwhile counts on from those that are there, and stays below.

SELECT pg_advisory_xact_lock(22896714941169665);
DO $$ DECLARE
    this_month BIGINT := (extract(year FROM now() AT TIME ZONE 'UTC')::BIGINT - 2026) * 12
        + extract(month FROM now() AT TIME ZONE 'UTC')::BIGINT - 1;
    -- Two months' numbers past what is there: a month has 2^30.
    past BIGINT := (SELECT coalesce(max(row), 0) >> 30 FROM messages) + 2;
    bound BIGINT := least(greatest(this_month, past), 511) << 30;
BEGIN
    EXECUTE format('ALTER TABLE contents ADD CONSTRAINT contents_old CHECK (message < %s) NOT VALID', bound);
    EXECUTE format('ALTER TABLE journal ADD CONSTRAINT journal_old CHECK (row < %s) NOT VALID', bound << 24);
END $$;
