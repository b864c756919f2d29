CREATE TABLE autoif.seed_instructions (
    "instruction_id" VARCHAR NOT NULL,
    "instruction" VARCHAR NOT NULL,
    "category" VARCHAR,
    "source" VARCHAR NOT NULL,
    "line" BIGINT NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.seed_queries (
    "query_id" VARCHAR NOT NULL,
    "query" VARCHAR NOT NULL,
    "source" VARCHAR NOT NULL,
    "line" BIGINT NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.augmented_instructions (
    "batch" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "instruction" VARCHAR NOT NULL,
    "category" VARCHAR,
    "origin" VARCHAR NOT NULL,
    "call_id" VARCHAR,
    "sample" BIGINT,
    "position" BIGINT NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.verifier_candidates (
    "batch" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "sample" BIGINT NOT NULL,
    "verifier_id" VARCHAR,
    "source" VARCHAR,
    "raw" VARCHAR,
    "finish_reason" VARCHAR,
    "call_id" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR,
    "detail" VARCHAR
);

CREATE TABLE autoif.test_cases (
    "batch" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "sample" BIGINT NOT NULL,
    "position" BIGINT NOT NULL,
    "case_id" VARCHAR,
    "input" VARCHAR,
    "expected" BOOLEAN,
    "call_id" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR,
    "detail" VARCHAR
);

CREATE TABLE autoif.verifiers (
    "batch" VARCHAR NOT NULL,
    "verifier_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "source" VARCHAR NOT NULL,
    "cases" BIGINT NOT NULL,
    "agreed" BIGINT NOT NULL,
    "accuracy" DOUBLE,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR,
    "detail" VARCHAR
);

CREATE TABLE autoif.verifier_cases (
    "batch" VARCHAR NOT NULL,
    "case_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "input" VARCHAR NOT NULL,
    "expected" BOOLEAN NOT NULL,
    "functions" BIGINT NOT NULL,
    "agreed" BIGINT NOT NULL,
    "agreement" DOUBLE,
    "outcomes" STRUCT(verifier_id VARCHAR, outcome VARCHAR)[] NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.back_translations (
    "batch" VARCHAR NOT NULL,
    "verifier_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "back_translation" VARCHAR,
    "raw" VARCHAR,
    "finish_reason" VARCHAR,
    "call_id" VARCHAR NOT NULL,
    "nli_label" VARCHAR,
    "nli_by" VARCHAR,
    "nli_raw" VARCHAR,
    "nli_call_id" VARCHAR,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.verified_instructions (
    "batch" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "instruction" VARCHAR NOT NULL,
    "category" VARCHAR,
    "verifiers" BIGINT NOT NULL,
    "cases" BIGINT NOT NULL,
    "entailments" BIGINT NOT NULL,
    "neutrals" BIGINT NOT NULL,
    "contradictions" BIGINT NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.augmented_queries (
    "batch" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "query_id" VARCHAR NOT NULL,
    "instruction" VARCHAR NOT NULL,
    "query" VARCHAR NOT NULL,
    "prompt" VARCHAR NOT NULL
);

CREATE TABLE autoif.responses (
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
    "detail" VARCHAR
);

CREATE TABLE autoif.response_verdicts (
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
    "reason" VARCHAR
);

CREATE TABLE autoif.response_scores (
    "batch" VARCHAR NOT NULL,
    "response_id" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "score" DOUBLE,
    "raw" VARCHAR,
    "finish_reason" VARCHAR,
    "call_id" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.filtered_queries (
    "batch" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "query_id" VARCHAR NOT NULL,
    "responses" BIGINT NOT NULL,
    "passing" BIGINT NOT NULL,
    "failing" BIGINT NOT NULL,
    "kept" BIGINT NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.sft_examples (
    "batch" VARCHAR NOT NULL,
    "example_id" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "response_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "query_id" VARCHAR NOT NULL,
    "prompt" VARCHAR NOT NULL,
    "response" VARCHAR NOT NULL,
    "pass_rate" DOUBLE NOT NULL,
    "score" DOUBLE NOT NULL
);

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
    "rejected_pass_rate" DOUBLE NOT NULL
);

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
    "rejected_pass_rate" DOUBLE NOT NULL
);

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
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);

CREATE TABLE autoif.llm_calls (
    "batch" VARCHAR NOT NULL,
    "asset" VARCHAR NOT NULL,
    "call_id" VARCHAR NOT NULL,
    "model" VARCHAR NOT NULL,
    "base_url" VARCHAR NOT NULL,
    "prompt" VARCHAR NOT NULL,
    "request" VARCHAR NOT NULL,
    "completions" VARCHAR[] NOT NULL,
    "finish_reasons" VARCHAR[] NOT NULL,
    "prompt_tokens" BIGINT,
    "cached_tokens" BIGINT,
    "completion_tokens" BIGINT,
    "attempts" BIGINT NOT NULL,
    "latency_s" DOUBLE NOT NULL,
    "started_at" TIMESTAMPTZ NOT NULL,
    "finished_at" TIMESTAMPTZ NOT NULL,
    "error" VARCHAR
);
