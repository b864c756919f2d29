-- Of batches made before, difficulty_k is 1: pass_at_k is the share of the judged that passes. Near
-- misses, which were to fail, are not among them.
ALTER TABLE autoif.filtered_queries ADD COLUMN judged BIGINT DEFAULT 0;
ALTER TABLE autoif.filtered_queries ADD COLUMN pass_at_k DOUBLE;
UPDATE autoif.filtered_queries q SET judged = v.judged, pass_at_k = q.passing / v.judged
FROM (
    SELECT batch, prompt_id, count(*) AS judged FROM (
        SELECT batch, prompt_id, status, reason FROM autoif.response_verdicts
        UNION ALL
        SELECT batch, prompt_id, status, reason FROM autoif.further_verdicts
        WHERE origin = 'further'
    )
    WHERE status = 'accepted' OR reason = 'low_pass_rate' GROUP BY ALL
) v
WHERE v.batch = q.batch AND v.prompt_id = q.prompt_id;
ALTER TABLE autoif.filtered_queries ALTER COLUMN judged SET NOT NULL;
ALTER TABLE autoif.filtered_queries ALTER COLUMN judged DROP DEFAULT;

CREATE TABLE autoif.response_likelihoods (
    "batch" VARCHAR NOT NULL,
    "response_id" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "kept" BOOLEAN NOT NULL,
    "tokens" BIGINT,
    "mean_logprob" DOUBLE,
    "mean_logprob_alone" DOUBLE,
    "ifd" DOUBLE,
    "call_id" VARCHAR NOT NULL,
    "call_id_alone" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR,
    "detail" VARCHAR
);

ALTER TABLE autoif.sft_examples ADD COLUMN ifd DOUBLE;
ALTER TABLE autoif.sft_examples ADD COLUMN status VARCHAR DEFAULT 'accepted';
ALTER TABLE autoif.sft_examples ADD COLUMN reason VARCHAR;
ALTER TABLE autoif.sft_examples ALTER COLUMN status SET NOT NULL;
ALTER TABLE autoif.sft_examples ALTER COLUMN status DROP DEFAULT;
