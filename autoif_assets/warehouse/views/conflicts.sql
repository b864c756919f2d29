-- Instructions of a batch that no text obeys at once: none of the probe texts does. Told only where
-- at least five would if the two had nothing to do with each other.
-- Example: SELECT instruction, other, obey, other_obey, texts FROM autoif.conflicts('b1');
CREATE MACRO autoif.conflicts(wanted) AS TABLE
SELECT p.instruction_id, i.instruction, p.other_id, o.instruction AS other,
    one_obeys AS obey, other_obeys AS other_obey, texts
FROM autoif.verdict_pairs(wanted) p
JOIN autoif.augmented_instructions i
    ON i.batch = wanted AND i.status = 'accepted' AND i.instruction_id = p.instruction_id
JOIN autoif.augmented_instructions o
    ON o.batch = wanted AND o.status = 'accepted' AND o.instruction_id = p.other_id
WHERE both_obey = 0 AND one_obeys * other_obeys >= 5 * texts
ORDER BY one_obeys * other_obeys DESC, p.instruction_id, p.other_id;
