ALTER TABLE autoif.auditor_answers ADD COLUMN "obeys_probability" DOUBLE;
