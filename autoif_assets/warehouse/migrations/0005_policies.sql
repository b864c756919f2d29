CREATE TABLE autoif.policies (
    "policy" VARCHAR NOT NULL,
    "base_url" VARCHAR,
    "model" VARCHAR NOT NULL,
    "api_key_variable" VARCHAR,
    "checkpoint" VARCHAR,
    "parent" VARCHAR,
    "created_at" TIMESTAMPTZ NOT NULL
);

CREATE TABLE autoif.policy_responses (
    "batch" VARCHAR NOT NULL,
    "policy" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "split" VARCHAR NOT NULL,
    "sample" BIGINT NOT NULL,
    "response_id" VARCHAR,
    "response" VARCHAR,
    "reasoning" VARCHAR,
    "finish_reason" VARCHAR,
    "call_id" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR,
    "detail" VARCHAR
);

CREATE TABLE autoif.policy_verdicts (
    "batch" VARCHAR NOT NULL,
    "policy" VARCHAR NOT NULL,
    "response_id" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "split" VARCHAR NOT NULL,
    "verifiers" BIGINT NOT NULL,
    "passed" BIGINT NOT NULL,
    "failed" BIGINT NOT NULL,
    "pass_rate" DOUBLE,
    "outcomes" STRUCT(verifier_id VARCHAR, outcome VARCHAR)[] NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.online_preference_pairs (
    "batch" VARCHAR NOT NULL,
    "policy" VARCHAR NOT NULL,
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
    "rejected_pass_rate" DOUBLE,
    "chosen_score" DOUBLE,
    "rejected_score" DOUBLE,
    "chosen_length" BIGINT NOT NULL,
    "rejected_length" BIGINT NOT NULL,
    "failed_verifiers" VARCHAR[] NOT NULL,
    "margin" DOUBLE,
    "constrains_length" BOOLEAN NOT NULL,
    "origin" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.policy_scorecard (
    "batch" VARCHAR NOT NULL,
    "policy" VARCHAR NOT NULL,
    "category" VARCHAR NOT NULL,
    "instructions" BIGINT NOT NULL,
    "prompts" BIGINT NOT NULL,
    "samples" BIGINT NOT NULL,
    "k" BIGINT NOT NULL,
    "pass_at_1" DOUBLE,
    "pass_at_1_low" DOUBLE,
    "pass_at_1_high" DOUBLE,
    "pass_at_k" DOUBLE,
    "pass_at_k_low" DOUBLE,
    "pass_at_k_high" DOUBLE
);
