-- How often an instruction of a batch holds by chance: `base_rate` is the share of the probe texts
-- written for other instructions that obey it, `own_rate` that of the texts that were to obey it;
-- `obey` of `known` texts with a verdict do. One that nearly any text obeys teaches nothing.
-- Example: SELECT instruction, base_rate, own_rate, reason FROM autoif.base_rates('b1') LIMIT 10;
CREATE MACRO autoif.base_rates(wanted) AS TABLE
SELECT m.instruction_id, i.instruction, i.category, m.base_rate, m.own_rate,
    length(replace(m.verdicts, '0', '')) AS obey, length(replace(m.known, '0', '')) AS known,
    v.status, v.reason
FROM autoif.verdict_matrix m
JOIN autoif.augmented_instructions i
    ON i.batch = wanted AND i.status = 'accepted' AND i.instruction_id = m.instruction_id
LEFT JOIN autoif.verified_instructions v
    ON v.batch = wanted AND v.instruction_id = m.instruction_id
WHERE m.batch = wanted
ORDER BY m.base_rate DESC NULLS LAST, m.instruction_id;
