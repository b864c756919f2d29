r"""ms-swift 4.6: a plugin for `swift rlhf --rlhf_type grpo`.

    --external_plugins $(python -c 'import importlib.util as u; \
        print(u.find_spec("autoif_assets.rewards.adapters.ms_swift").origin)')
    --reward_funcs autoif --dataset exports/reward/trl/train.parquet

ms-swift adds up rewards with NaN as zero, so one that is not decided is a number here, too: see
`protocols.number_of`.
"""

from collections.abc import Sequence
from typing import Any

from swift.rewards import AsyncORM, orms

from autoif_assets.rewards.adapters.common import mode_of, scorer_of
from autoif_assets.rewards.protocols import number_of, text_of


class Autoif(AsyncORM):  # type: ignore[misc]
    """Scores answers by the verifiers of an export."""

    async def __call__(
        self,
        completions: Sequence[Any],
        instruction_ids: Sequence[Sequence[str]],
        query: Sequence[str | None] | None = None,
        pass_rate: Sequence[float] | None = None,
        **columns: Any,
    ) -> list[float]:
        """Return a number for each completion."""
        queries = [None] * len(completions) if query is None else query
        rates = [None] * len(completions) if pass_rate is None else pass_rate
        items = [
            {"instruction_ids": list(ids), "response": text_of(completion), "query": said}
            for completion, ids, said in zip(completions, instruction_ids, queries, strict=True)
        ]
        made = await scorer_of().ascore(items, mode_of())
        return [
            number_of(one, {**item, "pass_rate": rate})
            for one, item, rate in zip(made, items, rates, strict=True)
        ]


orms["autoif"] = Autoif
