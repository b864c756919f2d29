-- Pairs made before know their lengths; their instructions were not looked at for theirs.
ALTER TABLE autoif.instruction_preference_pairs ADD COLUMN chosen_score DOUBLE;
ALTER TABLE autoif.instruction_preference_pairs ADD COLUMN rejected_score DOUBLE;
ALTER TABLE autoif.instruction_preference_pairs ADD COLUMN chosen_length BIGINT;
ALTER TABLE autoif.instruction_preference_pairs ADD COLUMN rejected_length BIGINT;
ALTER TABLE autoif.instruction_preference_pairs ADD COLUMN failed_verifiers VARCHAR[];
ALTER TABLE autoif.instruction_preference_pairs ADD COLUMN margin DOUBLE;
ALTER TABLE autoif.instruction_preference_pairs ADD COLUMN constrains_length BOOLEAN;
ALTER TABLE autoif.instruction_preference_pairs ADD COLUMN origin VARCHAR;
UPDATE autoif.instruction_preference_pairs SET
    chosen_length = length(chosen),
    rejected_length = length(rejected),
    failed_verifiers = [],
    margin = chosen_pass_rate - rejected_pass_rate,
    constrains_length = false,
    origin = 'test_case';
ALTER TABLE autoif.instruction_preference_pairs ALTER COLUMN chosen_length SET NOT NULL;
ALTER TABLE autoif.instruction_preference_pairs ALTER COLUMN rejected_length SET NOT NULL;
ALTER TABLE autoif.instruction_preference_pairs ALTER COLUMN failed_verifiers SET NOT NULL;
ALTER TABLE autoif.instruction_preference_pairs ALTER COLUMN margin SET NOT NULL;
ALTER TABLE autoif.instruction_preference_pairs ALTER COLUMN constrains_length SET NOT NULL;
ALTER TABLE autoif.instruction_preference_pairs ALTER COLUMN origin SET NOT NULL;

ALTER TABLE autoif.query_preference_pairs ADD COLUMN chosen_score DOUBLE;
ALTER TABLE autoif.query_preference_pairs ADD COLUMN rejected_score DOUBLE;
ALTER TABLE autoif.query_preference_pairs ADD COLUMN chosen_length BIGINT;
ALTER TABLE autoif.query_preference_pairs ADD COLUMN rejected_length BIGINT;
ALTER TABLE autoif.query_preference_pairs ADD COLUMN failed_verifiers VARCHAR[];
ALTER TABLE autoif.query_preference_pairs ADD COLUMN margin DOUBLE;
ALTER TABLE autoif.query_preference_pairs ADD COLUMN constrains_length BOOLEAN;
ALTER TABLE autoif.query_preference_pairs ADD COLUMN origin VARCHAR;
UPDATE autoif.query_preference_pairs SET
    chosen_length = length(chosen),
    rejected_length = length(rejected),
    failed_verifiers = [],
    margin = chosen_pass_rate - rejected_pass_rate,
    constrains_length = false,
    origin = 'sampled';
ALTER TABLE autoif.query_preference_pairs ALTER COLUMN chosen_length SET NOT NULL;
ALTER TABLE autoif.query_preference_pairs ALTER COLUMN rejected_length SET NOT NULL;
ALTER TABLE autoif.query_preference_pairs ALTER COLUMN failed_verifiers SET NOT NULL;
ALTER TABLE autoif.query_preference_pairs ALTER COLUMN margin SET NOT NULL;
ALTER TABLE autoif.query_preference_pairs ALTER COLUMN constrains_length SET NOT NULL;
ALTER TABLE autoif.query_preference_pairs ALTER COLUMN origin SET NOT NULL;

ALTER TABLE autoif.preference_pairs ADD COLUMN chosen_score DOUBLE;
ALTER TABLE autoif.preference_pairs ADD COLUMN rejected_score DOUBLE;
ALTER TABLE autoif.preference_pairs ADD COLUMN chosen_length BIGINT;
ALTER TABLE autoif.preference_pairs ADD COLUMN rejected_length BIGINT;
ALTER TABLE autoif.preference_pairs ADD COLUMN failed_verifiers VARCHAR[];
ALTER TABLE autoif.preference_pairs ADD COLUMN margin DOUBLE;
ALTER TABLE autoif.preference_pairs ADD COLUMN constrains_length BOOLEAN;
ALTER TABLE autoif.preference_pairs ADD COLUMN origin VARCHAR;
UPDATE autoif.preference_pairs SET
    chosen_length = length(chosen),
    rejected_length = length(rejected),
    failed_verifiers = [],
    margin = chosen_pass_rate - rejected_pass_rate,
    constrains_length = false,
    origin = if(level = 'query', 'sampled', 'test_case');
ALTER TABLE autoif.preference_pairs ALTER COLUMN chosen_length SET NOT NULL;
ALTER TABLE autoif.preference_pairs ALTER COLUMN rejected_length SET NOT NULL;
ALTER TABLE autoif.preference_pairs ALTER COLUMN failed_verifiers SET NOT NULL;
ALTER TABLE autoif.preference_pairs ALTER COLUMN margin SET NOT NULL;
ALTER TABLE autoif.preference_pairs ALTER COLUMN constrains_length SET NOT NULL;
ALTER TABLE autoif.preference_pairs ALTER COLUMN origin SET NOT NULL;
CREATE TABLE autoif.further_responses (
    "batch" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "sample" BIGINT NOT NULL,
    "response_id" VARCHAR,
    "response" VARCHAR,
    "reasoning" VARCHAR,
    "finish_reason" VARCHAR,
    "call_id" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR,
    "detail" VARCHAR,
    "origin" VARCHAR NOT NULL
);

CREATE TABLE autoif.further_verdicts (
    "batch" VARCHAR NOT NULL,
    "response_id" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "verifiers" BIGINT NOT NULL,
    "passed" BIGINT NOT NULL,
    "failed" BIGINT NOT NULL,
    "pass_rate" DOUBLE,
    "outcomes" STRUCT(verifier_id VARCHAR, outcome VARCHAR)[] NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR,
    "origin" VARCHAR NOT NULL
);

CREATE TABLE autoif.further_scores (
    "batch" VARCHAR NOT NULL,
    "response_id" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "score" DOUBLE,
    "raw" VARCHAR,
    "finish_reason" VARCHAR,
    "call_id" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR,
    "origin" VARCHAR NOT NULL
);

CREATE TABLE autoif.kto_examples (
    "batch" VARCHAR NOT NULL,
    "example_id" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "response_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "query_id" VARCHAR NOT NULL,
    "prompt" VARCHAR NOT NULL,
    "completion" VARCHAR NOT NULL,
    "label" BOOLEAN NOT NULL,
    "pass_rate" DOUBLE NOT NULL,
    "score" DOUBLE,
    "origin" VARCHAR NOT NULL
);
