-- Instructions of a batch of which one implies the other: every probe text that obeys the first
-- obeys the second, and not the other way round. Told only where at least five texts would obey the
-- first alone if the two had nothing to do with each other.
-- Example: SELECT instruction, implied, obey, implied_obey, texts FROM autoif.implications('b1');
CREATE MACRO autoif.implications(wanted) AS TABLE
WITH directed AS (
    SELECT instruction_id, other_id AS implied_id, both_obey, one_obeys, other_obeys, none_obeys,
        texts
    FROM autoif.verdict_pairs(wanted)
    WHERE one_obeys = 0
    UNION ALL
    SELECT other_id, instruction_id, both_obey, other_obeys, one_obeys, none_obeys, texts
    FROM autoif.verdict_pairs(wanted)
    WHERE other_obeys = 0
)
SELECT d.instruction_id, i.instruction, d.implied_id, o.instruction AS implied,
    both_obey AS obey, both_obey + other_obeys AS implied_obey, texts
FROM directed d
JOIN autoif.augmented_instructions i
    ON i.batch = wanted AND i.status = 'accepted' AND i.instruction_id = d.instruction_id
JOIN autoif.augmented_instructions o
    ON o.batch = wanted AND o.status = 'accepted' AND o.instruction_id = d.implied_id
WHERE other_obeys > 0 AND both_obey * none_obeys >= 5 * texts
ORDER BY both_obey DESC, d.instruction_id, d.implied_id;
