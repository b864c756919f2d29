CREATE TABLE autoif.batches (
    "batch" VARCHAR NOT NULL,
    "recipe" VARCHAR,
    "numbers" VARCHAR,
    "roles" STRUCT(role VARCHAR, model VARCHAR, base_url VARCHAR, settings VARCHAR)[],
    "prompts_hash" VARCHAR,
    "seeds_hash" VARCHAR,
    "queries_hash" VARCHAR,
    "created_at" TIMESTAMPTZ,
    "asked_by" VARCHAR,
    "simulated" BOOLEAN,
    "excluded" BOOLEAN NOT NULL,
    "remark" VARCHAR
);

CREATE TABLE autoif.input_sets (
    "hash" VARCHAR NOT NULL,
    "text_id" VARCHAR NOT NULL,
    "text" VARCHAR NOT NULL,
    "category" VARCHAR
);

-- Batches that were made before there was this table: what their calls tell. Their recipe is pinned
-- by the next run.
INSERT INTO autoif.batches (batch, roles, created_at, simulated, excluded, remark)
WITH roles AS (
    SELECT batch, CASE asset
        WHEN 'responses' THEN 'responder'
        WHEN 'further_responses' THEN 'responder'
        WHEN 'response_scores' THEN 'judge'
        WHEN 'further_scores' THEN 'judge'
        ELSE 'supervision'
    END AS role, arg_max(model, started_at) AS model, arg_max(base_url, started_at) AS base_url
    FROM autoif.llm_calls
    WHERE asset IN ('augmented_instructions', 'verifier_generation', 'responses',
        'further_responses', 'response_scores', 'further_scores')
    GROUP BY ALL
), made AS (
    SELECT DISTINCT batch FROM autoif.augmented_instructions
    UNION
    SELECT DISTINCT batch FROM autoif.llm_calls
)
SELECT batch,
    (SELECT list({'role': role, 'model': model, 'base_url': base_url, 'settings': '{}'}
        ORDER BY role) FROM roles WHERE roles.batch = made.batch),
    coalesce((SELECT min(started_at) FROM autoif.llm_calls c WHERE c.batch = made.batch),
        TIMESTAMPTZ '1970-01-01 00:00:00+00'),
    coalesce((SELECT bool_or(model = 'autoif-simulator') FROM autoif.llm_calls c
        WHERE c.batch = made.batch), false),
    false, 'made before recipes were pinned; its models are those of its calls'
FROM made;
