ALTER TABLE autoif.test_cases ADD COLUMN "origin" VARCHAR DEFAULT 'function';
ALTER TABLE autoif.test_cases ALTER COLUMN "origin" DROP DEFAULT;
ALTER TABLE autoif.test_cases ALTER COLUMN "origin" SET NOT NULL;
ALTER TABLE autoif.verifiers ADD COLUMN "origin" VARCHAR DEFAULT 'sampled';
ALTER TABLE autoif.verifiers ALTER COLUMN "origin" DROP DEFAULT;
ALTER TABLE autoif.verifiers ALTER COLUMN "origin" SET NOT NULL;
ALTER TABLE autoif.verifiers ADD COLUMN "parent_id" VARCHAR;
ALTER TABLE autoif.verifiers ADD COLUMN "samples" BIGINT DEFAULT 1;
ALTER TABLE autoif.verifiers ALTER COLUMN "samples" DROP DEFAULT;
ALTER TABLE autoif.verifiers ALTER COLUMN "samples" SET NOT NULL;
ALTER TABLE autoif.verifiers ADD COLUMN "accuracy_true" DOUBLE;
ALTER TABLE autoif.verifiers ADD COLUMN "accuracy_false" DOUBLE;
ALTER TABLE autoif.verifiers ADD COLUMN "sibling_agreement" DOUBLE;
ALTER TABLE autoif.verifier_cases ADD COLUMN "origin" VARCHAR DEFAULT 'function';
ALTER TABLE autoif.verifier_cases ALTER COLUMN "origin" DROP DEFAULT;
ALTER TABLE autoif.verifier_cases ALTER COLUMN "origin" SET NOT NULL;
ALTER TABLE autoif.verified_instructions ADD COLUMN "base_rate" DOUBLE;
CREATE TABLE autoif.probe_texts (
    "batch" VARCHAR NOT NULL,
    "position" BIGINT NOT NULL,
    "probe_id" VARCHAR,
    "instruction_id" VARCHAR,
    "kind" VARCHAR NOT NULL,
    "input" VARCHAR,
    "place" BIGINT,
    "sample" BIGINT,
    "finish_reason" VARCHAR,
    "call_id" VARCHAR,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);
CREATE TABLE autoif.verifier_repairs (
    "batch" VARCHAR NOT NULL,
    "round" BIGINT NOT NULL,
    "parent_id" VARCHAR NOT NULL,
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
CREATE TABLE autoif.auditor_answers (
    "batch" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "input_id" VARCHAR NOT NULL,
    "input" VARCHAR NOT NULL,
    "passing" DOUBLE NOT NULL,
    "failing" DOUBLE NOT NULL,
    "obeys" BOOLEAN,
    "raw" VARCHAR,
    "finish_reason" VARCHAR,
    "call_id" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);
CREATE TABLE autoif.verifier_audits (
    "batch" VARCHAR NOT NULL,
    "verifier_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "source" VARCHAR NOT NULL,
    "samples" BIGINT NOT NULL,
    "accuracy" DOUBLE,
    "accuracy_true" DOUBLE,
    "accuracy_false" DOUBLE,
    "sibling_agreement" DOUBLE,
    "mutants" BIGINT NOT NULL,
    "told_apart" BIGINT NOT NULL,
    "fragile_probes" BIGINT NOT NULL,
    "answers" BIGINT NOT NULL,
    "answers_agreed" BIGINT NOT NULL,
    "nli_label" VARCHAR,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR
);
CREATE TABLE autoif.verdict_matrix (
    "batch" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "texts" BIGINT NOT NULL,
    "verdicts" VARCHAR NOT NULL,
    "known" VARCHAR NOT NULL,
    "base_rate" DOUBLE,
    "own_rate" DOUBLE
);
-- Those that repeat a function were kept as its duplicates.
UPDATE autoif.verifiers SET samples = c.samples
FROM (
    SELECT batch, verifier_id, count(*) AS samples FROM autoif.verifier_candidates
    WHERE reason IS NULL OR reason = 'duplicate' GROUP BY batch, verifier_id
) c
WHERE verifiers.batch = c.batch AND verifiers.verifier_id = c.verifier_id;
-- What was in use before there were audits: all that cross-validation had kept.
INSERT INTO autoif.verifier_audits BY NAME
SELECT v.batch, v.verifier_id, v.instruction_id, v.source, v.samples, v.accuracy, 0 AS mutants,
    0 AS told_apart, 0 AS fragile_probes, 0 AS answers, 0 AS answers_agreed, b.nli_label, v.status
FROM autoif.verifiers v LEFT JOIN autoif.back_translations b USING (batch, verifier_id)
WHERE v.status = 'accepted';
