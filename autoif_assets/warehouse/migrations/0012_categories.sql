ALTER TABLE autoif.batches ADD COLUMN "categories" VARCHAR[];
