-- The rows of a dataset over all batches, each once: 'sft' (response to imitate is `chosen`,
-- `rejected` is null) or 'preference' (accepted pairs).
-- Example: SELECT prompt, chosen, rejected FROM autoif.dataset('preference');
CREATE MACRO autoif.dataset(kind) AS TABLE
SELECT DISTINCT ON (id) *
FROM (
    SELECT example_id AS id, batch, instruction_id, prompt_id, 'query' AS level, prompt,
        response AS chosen, NULL AS rejected, pass_rate AS chosen_pass_rate,
        NULL AS rejected_pass_rate, score AS chosen_score
    FROM autoif.sft_examples WHERE kind = 'sft'
    UNION ALL
    SELECT p.pair_id, p.batch, p.instruction_id, p.prompt_id, p.level, p.prompt, p.chosen,
        p.rejected, p.chosen_pass_rate, p.rejected_pass_rate, s.score
    FROM autoif.preference_pairs p
    LEFT JOIN autoif.response_scores s ON s.batch = p.batch AND s.response_id = p.chosen_id
    WHERE kind = 'preference' AND p.status = 'accepted'
)
ORDER BY id, batch;
