-- How many verified instructions there are of each category, of each band of base rates (the share
-- of others' texts that obey; what nearly all texts obey or break tells responses apart badly), and
-- of each language: the recipe's, or the script that most letters of the instruction are of.
-- Example: SELECT category, base_rate, sum(accepted) FROM autoif.coverage GROUP BY ALL ORDER BY 3;
CREATE VIEW autoif.coverage AS
SELECT batch, coalesce(category, 'none') AS category,
    CASE
        WHEN base_rate IS NULL THEN 'unknown'
        WHEN base_rate < 0.02 THEN '0 to 2 %'
        WHEN base_rate < 0.2 THEN '2 to 20 %'
        WHEN base_rate < 0.6 THEN '20 to 60 %'
        WHEN base_rate <= 0.9 THEN '60 to 90 %'
        ELSE '90 to 100 %'
    END AS base_rate,
    coalesce(
        TRY_CAST(numbers AS JSON) ->> '$.language',
        scripts[list_position(letters, list_max(letters))]
    ) AS language,
    count(*) FILTER (status = 'accepted') AS accepted,
    count(*) FILTER (status <> 'accepted') AS rejected
FROM (
    SELECT *,
        ['Latin', 'Chinese, Japanese or Korean', 'Cyrillic', 'Arabic', 'Hebrew', 'Greek',
            'Devanagari', 'Thai'] AS scripts,
        [
            length(regexp_replace(instruction, '[^\p{Latin}]+', '', 'g')),
            length(regexp_replace(instruction, '[^\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]+', '', 'g')),
            length(regexp_replace(instruction, '[^\p{Cyrillic}]+', '', 'g')),
            length(regexp_replace(instruction, '[^\p{Arabic}]+', '', 'g')),
            length(regexp_replace(instruction, '[^\p{Hebrew}]+', '', 'g')),
            length(regexp_replace(instruction, '[^\p{Greek}]+', '', 'g')),
            length(regexp_replace(instruction, '[^\p{Devanagari}]+', '', 'g')),
            length(regexp_replace(instruction, '[^\p{Thai}]+', '', 'g'))
        ] AS letters
    FROM autoif.verified_instructions
)
LEFT JOIN (SELECT batch, numbers FROM autoif.batches) USING (batch)
GROUP BY ALL
ORDER BY ALL;
