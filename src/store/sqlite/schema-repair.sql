-- Run once after the steps that bring an older database up; it changes nothing that is right already.

-- Lists show items: what a member of one is found by leads to its item. Version 4 gave the members that there
-- were terms of their own.
INSERT OR IGNORE INTO held_terms (term, state, message)
SELECT t.term, i.state, i.message FROM held h
JOIN held_terms t ON t.message = h.message JOIN held i ON i.message = h.item WHERE h.item <> h.message;
DELETE FROM held_terms WHERE message IN (SELECT message FROM held WHERE item <> message);
