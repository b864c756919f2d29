CREATE TABLE autoif.rl_prompts (
    "batch" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "query_id" VARCHAR NOT NULL,
    "query" VARCHAR NOT NULL,
    "context" VARCHAR,
    "prompt" VARCHAR NOT NULL,
    "instruction_ids" VARCHAR[] NOT NULL,
    "judged" BIGINT NOT NULL,
    "passing" BIGINT NOT NULL,
    "pass_rate" DOUBLE,
    "base_rates" DOUBLE[] NOT NULL,
    "split" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);
