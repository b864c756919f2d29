ALTER TABLE autoif.llm_calls ADD COLUMN cost DOUBLE DEFAULT 0.0;
ALTER TABLE autoif.llm_calls ADD COLUMN queue_wait_s DOUBLE DEFAULT 0.0;
ALTER TABLE autoif.llm_calls ALTER COLUMN cost SET NOT NULL;
ALTER TABLE autoif.llm_calls ALTER COLUMN queue_wait_s SET NOT NULL;
ALTER TABLE autoif.llm_calls ALTER COLUMN cost DROP DEFAULT;
ALTER TABLE autoif.llm_calls ALTER COLUMN queue_wait_s DROP DEFAULT;

CREATE TABLE autoif.dataset_splits (
    "dataset" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "split" VARCHAR NOT NULL
);
