CREATE TABLE autoif.dataset_left_out (
    "dataset" VARCHAR NOT NULL,
    "prompt_id" VARCHAR NOT NULL,
    "query_of" VARCHAR NOT NULL
);
