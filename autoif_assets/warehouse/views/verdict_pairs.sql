-- How the demands of two instructions of a batch lie to each other, by the probe texts on which the
-- verifiers of both have a verdict: how many obey both, the first alone, the second alone, neither.
-- Each two stand here once. Pairs with fewer than {MIN_TEXTS} such texts are left out. There are as many
-- pairs as instructions squared: of 2,000 instructions they take seconds.
-- Example: SELECT * FROM autoif.verdict_pairs('b1') ORDER BY both_obey DESC LIMIT 10;
CREATE MACRO autoif.verdict_pairs(wanted) AS TABLE
WITH vectors AS (
    SELECT instruction_id, CAST(verdicts AS BIT) AS obeys,
        -- Verdicts are 0 where nothing is known.
        xor(CAST(known AS BIT), CAST(verdicts AS BIT)) AS breaks
    FROM autoif.verdict_matrix
    WHERE batch = wanted AND texts > 0
),
counted AS (
    SELECT a.instruction_id AS instruction_id, b.instruction_id AS other_id,
        bit_count(a.obeys & b.obeys) AS both_obey, bit_count(a.obeys & b.breaks) AS one_obeys,
        bit_count(a.breaks & b.obeys) AS other_obeys, bit_count(a.breaks & b.breaks) AS none_obeys
    FROM vectors a JOIN vectors b ON a.instruction_id < b.instruction_id
)
SELECT *, both_obey + one_obeys + other_obeys + none_obeys AS texts
FROM counted
WHERE both_obey + one_obeys + other_obeys + none_obeys >= {MIN_TEXTS};
