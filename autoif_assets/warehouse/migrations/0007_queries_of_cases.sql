ALTER TABLE autoif.test_cases ADD COLUMN "query" VARCHAR;
ALTER TABLE autoif.verifier_cases ADD COLUMN "query" VARCHAR;
