-- From here on a body may lie in a segment (contents.file is then the name of its place). No table changes, but earlier
-- programs would not find such a body, so they are not to open the database.
SELECT 1;
