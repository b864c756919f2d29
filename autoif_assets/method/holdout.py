"""What is held out for evaluation: instructions by what they demand, and queries that train lacks.

A policy must not have been trained on what it is scored on: neither on the instruction in other
words, nor on a user query that it is asked with. Instructions and queries have a place from 0 to 1
that follows from the recipe's seed and their ids alone, and those below a threshold are held out:
more of them later move none that is there. Nor does a better idea of which instructions demand the
same: it ties together what it finds, and all else stays where it is.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from autoif_assets.method.ids import content_id
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.text import near_duplicate_keys
from autoif_assets.method.verdict_vectors import SAME

EVAL_QUERIES = 0.1
"""Share of the queries that held-out instructions alone draw.

Of 300 queries that is enough for the 16 of an instruction, and the others hardly miss it. It also
bounds the share of its prompts that train gives up where queries were not divided.
"""
NEITHER = "neither"
"""The split of a prompt that is on neither side."""

NONE_SAME = pl.DataFrame(schema=SAME)
"""Where no verdicts are known."""

_LEFT_OUT = {"prompt_id": pl.String, "query_of": pl.String}


@dataclass(frozen=True)
class Sides:
    """On which side instructions and their prompts are.

    Attributes:
        held_out: Ids of the instructions that are held out; all others are trained on.
        left_out: ``prompt_id`` of the prompts on neither side, and ``query_of``: the side that
            has the query, ``train`` or ``eval``; the instruction is on the other.
    """

    held_out: frozenset[str]
    left_out: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_LEFT_OUT))

    def of(self, prompts: pl.DataFrame) -> pl.Series:
        """Return the side of each prompt, ``train``, ``eval`` or ``neither``.

        Args:
            prompts: ``prompt_id``, ``instruction_id``.
        """
        is_left_out = pl.col("prompt_id").is_in(self.left_out["prompt_id"].implode())
        is_held_out = pl.col("instruction_id").is_in(sorted(self.held_out))
        side = (
            pl.when(is_left_out)
            .then(pl.lit(NEITHER))
            .when(is_held_out)
            .then(pl.lit("eval"))
            .otherwise(pl.lit("train"))
        )
        return prompts.select(side.alias("split")).to_series()


def demands(instructions: pl.DataFrame, same: pl.DataFrame = NONE_SAME) -> pl.Series:
    """Name what instructions demand; those of one demand are always on one side.

    This alone decides which instructions demand the same: those whose texts are near-duplicates,
    and those that the same probe texts obey.

    Args:
        instructions: ``instruction_id``, ``instruction``.
        same: From ``verdict_vectors.same_verdicts``; those that are not among the instructions
            tie nothing.

    Returns:
        A String series without nulls: the least id of those that demand the same.
    """
    demand, _ = _places(instructions.with_columns(made=0), same.with_columns(made=0), 0)
    names = [demand[name] for name in instructions["instruction_id"]]
    return pl.Series("demand", names, dtype=pl.String)


def is_held_out(
    instructions: pl.DataFrame, recipe: Recipe, same: pl.DataFrame = NONE_SAME
) -> pl.Series:
    """Say of the instructions of a batch which are held out, as far as the batch alone tells.

    Args:
        instructions: ``instruction_id``, ``instruction``.
        recipe: ``eval_share`` and ``seed``.
        same: As of `demands`; none before there are verifiers.
    """
    demand, place = _places(
        instructions.with_columns(made=0), same.with_columns(made=0), recipe.seed
    )
    return pl.Series(
        [place[demand[name]] < recipe.eval_share for name in instructions["instruction_id"]],
        dtype=pl.Boolean,
    )


def is_eval_query(query_id: str, seed: int) -> bool:
    """Say whether a query is drawn by held-out instructions alone, where queries are divided."""
    return _place_of_query(query_id, seed) < EVAL_QUERIES


def find_sides(
    instructions: pl.DataFrame,
    prompts: pl.DataFrame,
    examples: Collection[str],
    pairs: Collection[str],
    same: pl.DataFrame,
    recipe: Recipe,
) -> Sides:
    """Divide all instructions and prompts there are.

    Args:
        instructions: ``instruction_id``, ``instruction``, and ``made``: the place of their batch
            in the order in which batches were made. Repeats are fine.
        prompts: ``prompt_id``, ``instruction_id``, ``query_id``, and ``has_rows``: whether one of
            the datasets has rows of it. Repeats are fine.
        examples: Ids of the instructions of SFT examples.
        pairs: Ids of the instructions of preference pairs.
        same: From ``verdict_vectors.same_verdicts``, with ``made`` of their batch.
        recipe: ``eval_share`` and ``seed``.
    """
    share, seed = recipe.eval_share, recipe.seed
    held_out = held_out_instructions(instructions, share, seed, examples, pairs, same)
    queries = eval_queries(prompts, held_out, share, seed)
    return Sides(held_out, left_out(prompts, held_out, queries))


def held_out_instructions(
    instructions: pl.DataFrame,
    eval_share: float,
    seed: int,
    examples: Iterable[str] = (),
    pairs: Iterable[str] = (),
    same: pl.DataFrame | None = None,
) -> frozenset[str]:
    """Choose the instructions whose rows go to eval; all others go to train.

    Instructions of one demand are on one side: that of the one in the first batch that has any, so
    that what comes later follows; of several there, that of the furthest from being held out, for
    it may have been trained on before it was known what they demand. So it is with demands that a
    later batch finds to be one. Where that leaves a dataset of at least two demands without an
    eval or a train row, the demand nearest to the threshold changes sides.

    Args:
        instructions: As of `find_sides`.
        eval_share: Expected share of demands held out, ``0 <= eval_share < 1``; 0 holds out none.
        seed: Another seed gives another division.
        examples: Ids of the instructions of a dataset that must have both sides.
        pairs: Those of a second one. The result is the same with the two exchanged.
        same: As of `find_sides`; None for none.

    Raises:
        ValueError: ``eval_share`` is out of range.
    """
    if not 0 <= eval_share < 1:
        raise ValueError(
            f"eval_share is {eval_share}, but a share from 0 up to (not including) 1 is needed: "
            "0 puts every row into train, 0.1 holds out about a tenth of the instructions."
        )
    if eval_share == 0:
        return frozenset()
    examples, pairs = frozenset(examples), frozenset(pairs)
    same = NONE_SAME.with_columns(made=0) if same is None else same
    demand, place = _places(instructions, same, seed)
    # Rows may outlive their instruction, where a batch was not made again to its end.
    for name in (examples | pairs) - demand.keys():
        demand[name], place[name] = name, _place("split", seed, name)
    first = frozenset(demand[name] for name in examples)
    second = frozenset(demand[name] for name in pairs)
    # Those that no dataset has yet are divided alike, for a policy may be asked already.
    others = frozenset(place) - first - second
    held_out = _below(place, eval_share, (first, second))
    held_out |= _below(place, eval_share, (others, frozenset()))
    return frozenset(name for name, one in demand.items() if one in held_out)


def eval_queries(
    prompts: pl.DataFrame, held_out: Collection[str], eval_share: float, seed: int
) -> frozenset[str]:
    """Choose the queries that eval alone has, of those that held-out instructions were asked with.

    Those that nothing is trained on with are free. Of the others, those come first that are drawn
    by held-out instructions alone wherever queries are divided, as long as train gives up no
    larger share of its prompts than ``eval_share`` and `EVAL_QUERIES`. Where none of all these
    has rows of eval, one query that has some is chosen, if train keeps rows without it.

    Args:
        prompts: As of `find_sides`.
        held_out: Ids of the held-out instructions.
        eval_share: As of `held_out_instructions`.
        seed: As there.
    """
    is_eval = pl.col("instruction_id").is_in(sorted(held_out))
    uses = (
        prompts.group_by("prompt_id")
        .agg(pl.col("instruction_id", "query_id").first(), pl.col("has_rows").any())
        .group_by("query_id")
        .agg(
            evaluated=is_eval.sum(),
            trained=(~is_eval).sum(),
            eval_rows=(is_eval & pl.col("has_rows")).sum(),
            train_rows=(~is_eval & pl.col("has_rows")).sum(),
        )
    )
    budget = min(eval_share, EVAL_QUERIES) * int(uses["trained"].sum())
    rows_of_train = int(uses["train_rows"].sum())
    wanted = uses.filter(pl.col("evaluated") > 0)
    places = [_place_of_query(query_id, seed) for query_id in wanted["query_id"]]
    contested = (
        wanted.with_columns(place=pl.Series(places, dtype=pl.Float64))
        .filter(pl.col("trained") > 0)
        .sort("place", "query_id")
    )
    free = wanted.filter(pl.col("trained") == 0)
    chosen = contested.filter(pl.col("trained").cum_sum() <= budget)
    if rows_of_train and chosen["train_rows"].sum() == rows_of_train:
        # Nothing would be left to train on.
        chosen = chosen.clear()
    if not free["eval_rows"].sum() and not chosen["eval_rows"].sum():
        left = rows_of_train - int(chosen["train_rows"].sum())
        useful = (pl.col("eval_rows") > 0) & (pl.col("train_rows") < left)
        one = contested.join(chosen, on="query_id", how="anti", maintain_order="left")
        chosen = pl.concat([chosen, one.filter(useful).head(1)])
    return frozenset(free["query_id"]) | frozenset(chosen["query_id"])


def left_out(
    prompts: pl.DataFrame, held_out: Collection[str], queries: Collection[str]
) -> pl.DataFrame:
    """Return the prompts that are on neither side, as `Sides` has them, sorted.

    Args:
        prompts: ``prompt_id``, ``instruction_id``, ``query_id``.
        held_out: Ids of the held-out instructions.
        queries: Ids of the queries that eval alone has.
    """
    is_eval = pl.col("instruction_id").is_in(sorted(held_out))
    is_reserved = pl.col("query_id").is_in(sorted(queries))
    query_of = pl.when(is_reserved).then(pl.lit("eval")).otherwise(pl.lit("train"))
    return (
        prompts.filter(is_eval != is_reserved)
        .select("prompt_id", query_of.alias("query_of"))
        .unique("prompt_id")
        .sort("prompt_id")
    )


def _below(
    place: Mapping[str, float], share: float, datasets: tuple[frozenset[str], frozenset[str]]
) -> frozenset[str]:
    """Return those of two datasets whose place is below the share, so that both have both sides."""
    by_place = sorted(datasets[0] | datasets[1], key=lambda name: (place[name], name))
    held_out = {name for name in by_place if place[name] < share}
    train = set(by_place) - held_out
    # From either end of the order, so that the nearest to the threshold changes sides.
    _fill(held_out, train, datasets, by_place)
    _fill(train, held_out, datasets, by_place[::-1])
    return frozenset(held_out)


def _fill(
    side: set[str],
    opposite: set[str],
    datasets: tuple[frozenset[str], frozenset[str]],
    order: list[str],
) -> None:
    """Move the first of ``order`` into ``side`` for each dataset that has nothing there.

    The choice never empties the opposite side of either dataset: one that is in both serves
    both, and one that only a single dataset needs is taken from outside the other if possible.
    """
    first, second = datasets
    lacking = [ids for ids in datasets if len(ids) >= 2 and not ids & side]
    if len(lacking) == 2:
        choices = [first & second] if first & second else [first, second]
    elif lacking:
        other = second if lacking[0] is first else first
        choices = [lacking[0] - other or lacking[0]]
    else:
        choices = []
    for choice in choices:
        moved = next(name for name in order if name in choice)
        side.add(moved)
        opposite.remove(moved)


def _places(
    instructions: pl.DataFrame, same: pl.DataFrame, seed: int
) -> tuple[dict[str, str], dict[str, float]]:
    """Return instruction → demand, and demand → place.

    Args:
        instructions: ``instruction_id``, ``instruction``, ``made``.
        same: ``instruction_id``, ``other_id``, ``made``.
        seed: What places derive from.
    """
    # The id is of the normalised text; spellings of it may still differ.
    named = (
        instructions.with_columns(text=near_duplicate_keys(instructions["instruction"]))
        .group_by("instruction_id")
        .agg(pl.col("text").min(), pl.col("made").min())
        .sort("made", "instruction_id")
    )
    coming: defaultdict[int, list[str]] = defaultdict(list)
    ties: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    first: dict[str, str] = {}
    for name, text, made in named.iter_rows():
        coming[made].append(name)
        # A text without content is like no other.
        if text is not None:
            ties[made].append((first.setdefault(text, name), name))
    known = set(named["instruction_id"])
    for one, other, made in same.select("instruction_id", "other_id", "made").iter_rows():
        if one in known and other in known:
            ties[made].append((one, other))
    groups, place = _Groups(known), dict[str, float]()
    for made in sorted(coming.keys() | ties.keys()):
        for one, other in ties[made]:
            groups.tie(one, other)
        old: dict[str, float] = {}
        for demand, at in place.items():
            old[groups.of(demand)] = max(at, old.get(groups.of(demand), at))
        new: dict[str, float] = {}
        for name in coming[made]:
            demand, at = groups.of(name), _place("split", seed, name)
            new[demand] = max(at, new.get(demand, at))
        place = new | old
    return {name: groups.of(name) for name in known}, place


class _Groups:
    """Names of which some are tied together; each group goes by its least name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._next = {name: name for name in names}

    def of(self, name: str) -> str:
        """Return what the group of a name goes by."""
        while (further := self._next[name]) != name:
            # The way gets shorter for the next who asks.
            self._next[name] = self._next[further]
            name = further
        return name

    def tie(self, one: str, other: str) -> None:
        """Make one group of two."""
        least, most = sorted((self.of(one), self.of(other)))
        self._next[most] = least


def _place_of_query(query_id: str, seed: int) -> float:
    return _place("split of queries", seed, query_id)


def _place(kind: str, seed: int, name: str) -> float:
    return int(content_id(kind, str(seed), name), 16) / 2**64
