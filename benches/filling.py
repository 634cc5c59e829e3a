"""Fills a PostgreSQL store by SQL: rows of messages that came by SMTP, copied under new numbers and ids.

What a million messages by SMTP would leave stands in the tables that grow (messages, contents, deliveries, journal,
the chain, what holds and finds held mail), with its indexes, spread over the last thirty days. Three things differ:
entries of the chain are random and stand before those of the relay, so that it goes on but `audit verify` would not
pass; the relay's triggers do not run, so that totals stay as they were; and the same mail sent again would not be known.
"""

import sys
import time

# Tables with rows of a message, and the column that names it; in the others, a row's number begins with the message's.
PLAIN = [("contents", "message"), ("held_approvers", "message"), ("held_terms", "message"), ("held_subjects", "rowid"),
         ("held_files", "rowid")]
NUMBERED = ["deliveries", "journal"]
# An id: 48 bits of time and 32 that make it differ, as 16 letters of five bits.
MAKE_ID = """
CREATE FUNCTION pg_temp.id_of(millis bigint, other bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + (CASE
        WHEN shift >= 35 THEN (millis >> (shift - 32)) & 31
        WHEN shift = 30 THEN ((millis & 7) << 2) | ((other >> 30) & 3)
        ELSE (other >> shift) & 31 END)::int, 1), '' ORDER BY shift DESC)
    FROM generate_series(0, 75, 5) AS shift $$;
"""


def columns(cluster, table):
    """The names of a table's columns."""
    return cluster.sql("SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped "
                       f"AND attrelid = '{table}'::regclass").split(",")


def copied(cluster, table, column, value, on):
    """A statement that copies rows of a table with another number of their message."""
    own = columns(cluster, table)
    made = [value if name == column else "n.new" if (table, name) == ("held", "item") else f"t.{name}" for name in own]
    return f"INSERT INTO {table} ({', '.join(own)}) SELECT {', '.join(made)} FROM numbers n JOIN {table} t ON {on};"


def multiply(cluster, what, number, which):
    """Copies the messages that `which` selects, in turn, until there are so many more."""
    began = time.monotonic()
    steps = [
        "SET session_replication_role = replica; SET synchronous_commit = off; SET work_mem = '256MB';", MAKE_ID,
        f"CREATE TEMP TABLE model AS SELECT row, row_number() OVER (ORDER BY row) - 1 AS place FROM messages WHERE {which};",
        "CREATE TEMP TABLE numbers AS SELECT m.row AS old, (SELECT max(row) FROM messages) + n AS new, "
        f"now_in_millis() - 30::bigint * 86400000 + n * (29::bigint * 86400000 / {number}) AS millis, n FROM generate_series(1, {number}) n "
        "JOIN model m ON m.place = n % (SELECT count(*) FROM model); ANALYZE numbers;",
    ]
    own = columns(cluster, "messages")
    made = {"row": "n.new", "id": "pg_temp.id_of(n.millis, n.new)", "received": "n.millis", "message_id": "n.new || t.message_id",
            "fork": "NULL"}
    steps.append(f"INSERT INTO messages ({', '.join(own)}) SELECT {', '.join(made.get(name, 't.' + name) for name in own)} "
                 "FROM numbers n JOIN messages t ON t.row = n.old;")
    steps.append(copied(cluster, "held", "message", "n.new", "t.message = n.old"))
    steps += [copied(cluster, table, column, "n.new", f"t.{column} = n.old") for table, column in PLAIN]
    steps += [copied(cluster, table, "row", "(n.new << 24) + (t.row & 16777215)", "t.row >> 24 = n.old") for table in NUMBERED]
    # Two entries of the chain for each, before those that stand there.
    steps.append(f"UPDATE chain SET seq = -seq; UPDATE chain SET seq = 2 * {number} - seq;"
                 "INSERT INTO chain (seq, entry, digest, kind) SELECT 2 * n - 1, new << 24, sha256(int8send(n)), 0 FROM numbers "
                 "UNION ALL SELECT 2 * n, (new << 24) + 1, sha256(int8send(-n)), 2 FROM numbers;")
    cluster.sql("".join(steps))
    cluster.sql("VACUUM ANALYZE")
    cluster.sql("CHECKPOINT")
    print(f"  {number} {what} by SQL in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
