-- Calls, tokens, money and seconds by batch, asset and model; `seconds` of calls and the
-- `waited_seconds` before them add up over parallel calls.
-- Example: SELECT asset, sum(completion_tokens) FROM autoif.cost GROUP BY asset ORDER BY 2 DESC;
CREATE VIEW autoif.cost AS
SELECT batch, asset, model,
    count(*) AS calls,
    count(error) AS refused,
    CAST(sum(attempts) AS BIGINT) AS attempts,
    CAST(sum(prompt_tokens) AS BIGINT) AS prompt_tokens,
    CAST(sum(cached_tokens) AS BIGINT) AS cached_tokens,
    CAST(sum(completion_tokens) AS BIGINT) AS completion_tokens,
    sum(cost) AS cost,
    sum(latency_s) AS seconds,
    sum(queue_wait_s) AS waited_seconds,
    min(started_at) AS started_at,
    max(finished_at) AS finished_at
FROM autoif.llm_calls
GROUP BY ALL
ORDER BY batch, asset, model;
