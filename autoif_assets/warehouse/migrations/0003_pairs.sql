-- Pairs of before get their lengths; whether their instructions constrain length is not known.
ALTER TABLE autoif.instruction_preference_pairs RENAME TO instruction_preference_pairs_before;
CREATE TABLE autoif.instruction_preference_pairs (
    "batch" VARCHAR NOT NULL,
    "pair_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "prompt" VARCHAR NOT NULL,
    "chosen" VARCHAR NOT NULL,
    "rejected" VARCHAR NOT NULL,
    "chosen_id" VARCHAR NOT NULL,
    "rejected_id" VARCHAR NOT NULL,
    "chosen_pass_rate" DOUBLE NOT NULL,
    "rejected_pass_rate" DOUBLE NOT NULL,
    "chosen_score" DOUBLE,
    "rejected_score" DOUBLE,
    "chosen_length" BIGINT NOT NULL,
    "rejected_length" BIGINT NOT NULL,
    "failed_verifiers" VARCHAR[] NOT NULL,
    "margin" DOUBLE NOT NULL,
    "constrains_length" BOOLEAN NOT NULL,
    "origin" VARCHAR NOT NULL
);
INSERT INTO autoif.instruction_preference_pairs BY NAME
SELECT *, length(chosen) AS chosen_length, length(rejected) AS rejected_length,
    [] AS failed_verifiers, chosen_pass_rate - rejected_pass_rate AS margin,
    false AS constrains_length, 'test_case' AS origin
FROM autoif.instruction_preference_pairs_before;
DROP TABLE autoif.instruction_preference_pairs_before;

ALTER TABLE autoif.query_preference_pairs RENAME TO query_preference_pairs_before;
CREATE TABLE autoif.query_preference_pairs (
    "batch" VARCHAR NOT NULL,
    "pair_id" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "query_id" VARCHAR NOT NULL,
    "prompt" VARCHAR NOT NULL,
    "chosen" VARCHAR NOT NULL,
    "rejected" VARCHAR NOT NULL,
    "chosen_id" VARCHAR NOT NULL,
    "rejected_id" VARCHAR NOT NULL,
    "chosen_pass_rate" DOUBLE NOT NULL,
    "rejected_pass_rate" DOUBLE NOT NULL,
    "chosen_score" DOUBLE,
    "rejected_score" DOUBLE,
    "chosen_length" BIGINT NOT NULL,
    "rejected_length" BIGINT NOT NULL,
    "failed_verifiers" VARCHAR[] NOT NULL,
    "margin" DOUBLE NOT NULL,
    "constrains_length" BOOLEAN NOT NULL,
    "origin" VARCHAR NOT NULL
);
INSERT INTO autoif.query_preference_pairs BY NAME
SELECT *, length(chosen) AS chosen_length, length(rejected) AS rejected_length,
    [] AS failed_verifiers, chosen_pass_rate - rejected_pass_rate AS margin,
    false AS constrains_length, 'sampled' AS origin
FROM autoif.query_preference_pairs_before;
DROP TABLE autoif.query_preference_pairs_before;

ALTER TABLE autoif.preference_pairs RENAME TO preference_pairs_before;
CREATE TABLE autoif.preference_pairs (
    "batch" VARCHAR NOT NULL,
    "pair_id" VARCHAR NOT NULL,
    "level" VARCHAR NOT NULL,
    "prompt_id" VARCHAR,
    "instruction_id" VARCHAR NOT NULL,
    "prompt" VARCHAR NOT NULL,
    "chosen" VARCHAR NOT NULL,
    "rejected" VARCHAR NOT NULL,
    "chosen_id" VARCHAR NOT NULL,
    "rejected_id" VARCHAR NOT NULL,
    "chosen_pass_rate" DOUBLE NOT NULL,
    "rejected_pass_rate" DOUBLE NOT NULL,
    "chosen_score" DOUBLE,
    "rejected_score" DOUBLE,
    "chosen_length" BIGINT NOT NULL,
    "rejected_length" BIGINT NOT NULL,
    "failed_verifiers" VARCHAR[] NOT NULL,
    "margin" DOUBLE NOT NULL,
    "constrains_length" BOOLEAN NOT NULL,
    "origin" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);
INSERT INTO autoif.preference_pairs BY NAME
SELECT *, length(chosen) AS chosen_length, length(rejected) AS rejected_length,
    [] AS failed_verifiers, chosen_pass_rate - rejected_pass_rate AS margin,
    false AS constrains_length, CASE level WHEN 'query' THEN 'sampled' ELSE 'test_case' END AS origin
FROM autoif.preference_pairs_before;
DROP TABLE autoif.preference_pairs_before;

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
