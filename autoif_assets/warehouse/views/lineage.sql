-- From a preference pair, an SFT or a KTO example back to its seed, with every verdict and every
-- prompt on the way. One row per thing met; `step` orders them, `role` says what it is to the
-- pair, `call_id` names the model call that made it (the calls themselves come last).
-- Example: SELECT step, kind, role, text, detail FROM autoif.lineage('0123456789abcdef');
CREATE MACRO autoif.lineage(wanted) AS TABLE
WITH target AS (
    SELECT DISTINCT ON (batch) *
    FROM (
        SELECT batch, 'preference_pair' AS kind, level || ' level' AS level, prompt_id,
            instruction_id, prompt, chosen_id, rejected_id, chosen_pass_rate, rejected_pass_rate
        FROM autoif.preference_pairs WHERE pair_id = wanted
        UNION ALL
        SELECT batch, 'preference_pair', 'query level', prompt_id,
            instruction_id, prompt, chosen_id, rejected_id, chosen_pass_rate, rejected_pass_rate
        FROM autoif.query_preference_pairs WHERE pair_id = wanted
        UNION ALL
        SELECT batch, 'preference_pair', 'instruction level', NULL,
            instruction_id, prompt, chosen_id, rejected_id, chosen_pass_rate, rejected_pass_rate
        FROM autoif.instruction_preference_pairs WHERE pair_id = wanted
        UNION ALL
        SELECT batch, 'sft_example', 'query level', prompt_id,
            instruction_id, prompt, response_id, NULL, pass_rate, NULL
        FROM autoif.sft_examples WHERE example_id = wanted
        UNION ALL
        SELECT batch, 'kto_example', CASE WHEN label THEN 'good response' ELSE 'bad response' END, prompt_id,
            instruction_id, prompt, response_id, NULL, pass_rate, NULL
        FROM autoif.kto_examples WHERE example_id = wanted
    )
),
answers AS (
    SELECT batch, chosen_id AS id, chosen_pass_rate AS pass_rate,
        CASE kind WHEN 'preference_pair' THEN 'chosen' ELSE 'target' END AS role
    FROM target
    UNION ALL
    SELECT batch, rejected_id, rejected_pass_rate, 'rejected'
    FROM target WHERE rejected_id IS NOT NULL
),
some_responses AS (
    SELECT batch, response_id, response, NULL AS origin, call_id FROM autoif.responses
    UNION ALL
    SELECT batch, response_id, response, origin, call_id FROM autoif.further_responses
),
some_verdicts AS (
    SELECT batch, response_id, outcomes FROM autoif.response_verdicts
    UNION ALL
    SELECT batch, response_id, outcomes FROM autoif.further_verdicts
),
some_scores AS (
    SELECT batch, response_id, raw, score, reason, call_id FROM autoif.response_scores
    UNION ALL
    SELECT batch, response_id, raw, score, reason, call_id FROM autoif.further_scores
),
instructions AS (
    SELECT DISTINCT ON (batch, instruction_id) a.*
    FROM autoif.augmented_instructions a SEMI JOIN target USING (batch, instruction_id)
    WHERE status = 'accepted'
),
surviving_verifiers AS (
    SELECT v.* FROM autoif.verifiers v SEMI JOIN target USING (batch, instruction_id)
    SEMI JOIN (SELECT batch, verifier_id FROM autoif.verifier_audits WHERE status = 'accepted')
        USING (batch, verifier_id)
),
told AS (
    SELECT 1 AS step, batch, kind, wanted AS id, level AS role, prompt AS text,
        NULL AS detail, NULL AS call_id
    FROM target

    UNION ALL
    SELECT DISTINCT ON (batch, response_id, role) 2, batch, 'response', response_id, role, response,
        concat_ws('; ', format('passes {:.0f} % of its verdicts', 100 * pass_rate), origin), call_id
    FROM some_responses JOIN answers USING (batch)
    WHERE response_id = answers.id

    UNION ALL
    SELECT DISTINCT ON (batch, case_id, role) 2, batch, 'test_case', case_id, role, c.input,
        concat_ws(
            '; ',
            format('expected {}; {} of {} functions agree', c.expected, c.agreed, c.functions),
            CASE c.origin WHEN 'user' THEN 'handed in with the seed' END
        ),
        t.call_id
    FROM autoif.verifier_cases c JOIN answers USING (batch)
    LEFT JOIN autoif.test_cases t USING (batch, instruction_id, case_id)
    WHERE case_id = answers.id

    UNION ALL
    SELECT 3, batch, 'verdict', o.verifier_id, 'on the ' || role, NULL, o.outcome, NULL
    FROM (
        SELECT batch, role, unnest(outcomes) AS o
        FROM some_verdicts JOIN answers USING (batch)
        WHERE response_id = answers.id
        UNION ALL
        SELECT batch, role, unnest(outcomes)
        FROM autoif.verifier_cases JOIN answers USING (batch)
        WHERE case_id = answers.id
    )

    UNION ALL
    SELECT 4, batch, 'score', response_id, 'of the ' || role, raw,
        coalesce('score ' || score, reason), call_id
    FROM some_scores JOIN answers USING (batch)
    WHERE response_id = answers.id

    UNION ALL
    SELECT 5, q.batch, 'augmented_query', q.prompt_id, 'prompt', q.prompt, NULL, NULL
    FROM autoif.augmented_queries q SEMI JOIN target USING (batch, prompt_id)

    UNION ALL
    SELECT 6, q.batch, 'user_query', q.query_id, 'query', coalesce(s.query, q.query),
        s.source || ', line ' || s.line, NULL
    FROM autoif.augmented_queries q SEMI JOIN target USING (batch, prompt_id)
    LEFT JOIN (SELECT DISTINCT ON (query_id) * FROM autoif.seed_queries ORDER BY status, line) s
        USING (query_id)

    UNION ALL
    SELECT 6, q.batch, 'conversation', q.query_id, 'before the query', q.context, NULL, NULL
    FROM autoif.augmented_queries q SEMI JOIN target USING (batch, prompt_id)
    WHERE q.context IS NOT NULL

    UNION ALL
    SELECT 7, batch, 'instruction', instruction_id, 'instruction', instruction, origin, call_id
    FROM instructions

    UNION ALL
    SELECT 8, i.batch, 'seed_instruction', s.instruction_id, 'the instruction itself',
        s.instruction, s.source || ', line ' || s.line, NULL
    FROM instructions i
    JOIN (
        SELECT DISTINCT ON (instruction_id) * FROM autoif.seed_instructions ORDER BY status, line
    ) s USING (instruction_id)

    UNION ALL
    SELECT 8, i.batch, 'seed_instruction', s.instruction_id, 'shown to the model that wrote it',
        s.instruction, s.source || ', line ' || s.line, NULL
    FROM instructions i
    JOIN (SELECT DISTINCT ON (call_id) * FROM autoif.llm_calls) c USING (call_id)
    JOIN autoif.seed_instructions s
        ON s.status = 'accepted' AND contains(c.prompt, s.instruction)
        AND s.instruction_id <> i.instruction_id

    UNION ALL
    SELECT DISTINCT ON (batch, verifier_id) 9, v.batch, 'verifier', v.verifier_id, 'verifier',
        v.source,
        concat_ws(
            '; ', format('accuracy {:.2f} on {} cases', v.accuracy, v.cases),
            'mended from ' || v.parent_id,
            CASE v.origin WHEN 'user' THEN 'handed in with the seed' END
        ),
        c.call_id
    FROM surviving_verifiers v
    LEFT JOIN (
        SELECT batch, instruction_id, verifier_id, call_id FROM autoif.verifier_candidates
        UNION ALL
        SELECT batch, instruction_id, verifier_id, call_id FROM autoif.verifier_repairs
        WHERE status = 'accepted'
    ) c USING (batch, instruction_id, verifier_id)

    UNION ALL
    SELECT 10, b.batch, 'back_translation', b.verifier_id, 'of the verifier', b.back_translation,
        b.nli_label, b.call_id
    FROM autoif.back_translations b SEMI JOIN surviving_verifiers USING (batch, verifier_id)

    UNION ALL
    SELECT DISTINCT ON (batch, case_id) 11, c.batch, 'test_case', c.case_id, 'of the verifiers',
        c.input,
        concat_ws(
            '; ',
            format('expected {}; {} of {} functions agree', c.expected, c.agreed, c.functions),
            CASE c.origin WHEN 'user' THEN 'handed in with the seed' END
        ),
        t.call_id
    FROM autoif.verifier_cases c SEMI JOIN target USING (batch, instruction_id)
    LEFT JOIN autoif.test_cases t USING (batch, instruction_id, case_id)
    WHERE c.status = 'accepted'
)
SELECT * FROM told
UNION ALL
SELECT DISTINCT ON (call_id) 12, batch, 'model_call', call_id, asset, prompt, model, call_id
FROM autoif.llm_calls SEMI JOIN told USING (call_id)
ORDER BY step, batch, role, id;
