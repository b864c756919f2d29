-- The rows of the split 'train' or 'eval' of all datasets over all batches that are not excluded
-- from the exports, each once, as the last exports divided the instructions: `dataset` is 'sft'
-- (`chosen` is the response to imitate, `rejected` is null), 'preference' (accepted pairs) or 'kto'
-- (a good response is `chosen`, a bad one `rejected`; the other is null). `context` is what was said
-- before the prompt, as JSON messages, where something was. Instructions that came after the last
-- export are in neither split yet, and prompts of `dataset_left_out` never are.
-- Example: SELECT prompt, chosen, rejected FROM autoif.dataset('train') WHERE dataset = 'preference';
CREATE MACRO autoif.dataset(wanted) AS TABLE
SELECT DISTINCT ON (dataset, id) *
FROM (
    SELECT 'sft' AS dataset, example_id AS id, batch, instruction_id, prompt_id,
        'query' AS level, context, prompt, response AS chosen, NULL AS rejected,
        pass_rate AS chosen_pass_rate, NULL AS rejected_pass_rate, score AS chosen_score
    FROM autoif.sft_examples WHERE status = 'accepted'
    UNION ALL
    SELECT 'preference', p.pair_id, p.batch, p.instruction_id, p.prompt_id, p.level, p.context,
        p.prompt, p.chosen, p.rejected, p.chosen_pass_rate, p.rejected_pass_rate, p.chosen_score
    FROM autoif.preference_pairs p
    WHERE p.status = 'accepted'
    UNION ALL
    SELECT 'kto', example_id, batch, instruction_id, prompt_id, 'query', context, prompt,
        CASE WHEN label THEN completion END, CASE WHEN NOT label THEN completion END,
        CASE WHEN label THEN pass_rate END, CASE WHEN NOT label THEN pass_rate END,
        CASE WHEN label THEN score END
    FROM autoif.kto_examples
)
SEMI JOIN (FROM autoif.dataset_splits WHERE split = wanted) USING (dataset, instruction_id)
ANTI JOIN autoif.dataset_left_out USING (dataset, prompt_id)
ANTI JOIN (FROM autoif.batches WHERE excluded) USING (batch)
ORDER BY dataset, id, batch;
