-- The rows of the split 'train' or 'eval' of both datasets over all batches, each once, as the
-- last exports divided the instructions: `dataset` is 'sft' (`chosen` is the response to imitate,
-- `rejected` is null) or 'preference' (accepted pairs). Instructions that came after the last
-- export are in neither split yet.
-- Example: SELECT prompt, chosen, rejected FROM autoif.dataset('train') WHERE dataset = 'preference';
CREATE MACRO autoif.dataset(wanted) AS TABLE
SELECT DISTINCT ON (dataset, id) *
FROM (
    SELECT 'sft' AS dataset, example_id AS id, batch, instruction_id, prompt_id,
        'query' AS level, prompt, response AS chosen, NULL AS rejected,
        pass_rate AS chosen_pass_rate, NULL AS rejected_pass_rate, score AS chosen_score
    FROM autoif.sft_examples
    UNION ALL
    SELECT 'preference', p.pair_id, p.batch, p.instruction_id, p.prompt_id, p.level, p.prompt,
        p.chosen, p.rejected, p.chosen_pass_rate, p.rejected_pass_rate, s.score
    FROM autoif.preference_pairs p
    LEFT JOIN autoif.response_scores s ON s.batch = p.batch AND s.response_id = p.chosen_id
    WHERE p.status = 'accepted'
)
SEMI JOIN (FROM autoif.dataset_splits WHERE split = wanted) USING (dataset, instruction_id)
ORDER BY dataset, id, batch;
