-- Instructions of a batch that demand the same, in whatever words: the same probe texts obey them.
-- Of the texts that both have a verdict on, at least {MIN_TEXTS}, at least {MIN_OF_EACH} obey and {MIN_OF_EACH} do not.
-- Example: SELECT instruction, other, obey, texts FROM autoif.duplicates('b1');
CREATE MACRO autoif.duplicates(wanted) AS TABLE
SELECT p.instruction_id, i.instruction, p.other_id, o.instruction AS other,
    both_obey AS obey, texts
FROM autoif.verdict_pairs(wanted) p
JOIN autoif.augmented_instructions i
    ON i.batch = wanted AND i.status = 'accepted' AND i.instruction_id = p.instruction_id
JOIN autoif.augmented_instructions o
    ON o.batch = wanted AND o.status = 'accepted' AND o.instruction_id = p.other_id
WHERE one_obeys = 0 AND other_obeys = 0 AND both_obey >= {MIN_OF_EACH} AND none_obeys >= {MIN_OF_EACH}
ORDER BY both_obey DESC, p.instruction_id, p.other_id;
