ALTER TABLE autoif.seed_queries ADD COLUMN "context" VARCHAR;
ALTER TABLE autoif.augmented_queries ADD COLUMN "context" VARCHAR;
ALTER TABLE autoif.sft_examples ADD COLUMN "context" VARCHAR;
ALTER TABLE autoif.kto_examples ADD COLUMN "context" VARCHAR;
ALTER TABLE autoif.query_preference_pairs ADD COLUMN "context" VARCHAR;
ALTER TABLE autoif.preference_pairs ADD COLUMN "context" VARCHAR;
ALTER TABLE autoif.online_preference_pairs ADD COLUMN "context" VARCHAR;
ALTER TABLE autoif.input_sets ADD COLUMN "context" VARCHAR;
