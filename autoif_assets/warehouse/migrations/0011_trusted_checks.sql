ALTER TABLE autoif.seed_instructions ADD COLUMN "verifier" VARCHAR;
ALTER TABLE autoif.seed_instructions ADD COLUMN "cases" VARCHAR;
ALTER TABLE autoif.input_sets ADD COLUMN "verifier" VARCHAR;
ALTER TABLE autoif.input_sets ADD COLUMN "cases" VARCHAR;
ALTER TABLE autoif.verifier_candidates ADD COLUMN "origin" VARCHAR DEFAULT 'sampled';
ALTER TABLE autoif.verifier_candidates ALTER COLUMN "origin" DROP DEFAULT;
ALTER TABLE autoif.verifier_candidates ALTER COLUMN "origin" SET NOT NULL;
ALTER TABLE autoif.verifier_candidates ALTER COLUMN "call_id" DROP NOT NULL;
ALTER TABLE autoif.test_cases ALTER COLUMN "call_id" DROP NOT NULL;
ALTER TABLE autoif.verifier_audits RENAME TO verifier_audits_before;
CREATE TABLE autoif.verifier_audits (
    "batch" VARCHAR NOT NULL,
    "verifier_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "source" VARCHAR NOT NULL,
    "origin" VARCHAR NOT NULL,
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
INSERT INTO autoif.verifier_audits BY NAME
SELECT a.*, coalesce(v.origin, 'sampled') AS origin
FROM autoif.verifier_audits_before a
LEFT JOIN (SELECT batch, verifier_id, any_value(origin) AS origin FROM autoif.verifiers GROUP BY ALL) v
    USING (batch, verifier_id);
DROP TABLE autoif.verifier_audits_before;
CREATE TABLE autoif.labelled_agreement (
    "batch" VARCHAR NOT NULL,
    "verifier_id" VARCHAR NOT NULL,
    "instruction_id" VARCHAR NOT NULL,
    "origin" VARCHAR NOT NULL,
    "gate" VARCHAR NOT NULL,
    "texts" BIGINT NOT NULL,
    "following" BIGINT NOT NULL,
    "agreed" BIGINT NOT NULL,
    "no_verdict" BIGINT NOT NULL,
    "share" DOUBLE NOT NULL
);
