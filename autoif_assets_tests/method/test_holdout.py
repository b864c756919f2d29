"""What is held out: no demand and no query is on both sides, and nothing moves as data grows."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.holdout import (
    EVAL_QUERIES,
    Sides,
    demands,
    eval_queries,
    find_sides,
    held_out_instructions,
    is_eval_query,
    is_held_out,
    left_out,
)
from autoif_assets.method.ids import content_id
from autoif_assets.method.recipe import PAPER, make_recipe
from autoif_assets.method.verdict_vectors import SAME

ids = st.sets(st.sampled_from([f"{i:02x}" for i in range(24)]), max_size=12)
shares = st.floats(0, 1, exclude_max=True)
seeds = st.integers(0, 50)
# Every text three times in other words, so that demands have up to three instructions.
WORDS = ("Use {} commas.", "Please use {} commas", "kindly USE the {} commas!")
TEXTS = {f"{i:02x}": WORDS[i % 3].format(10 + i // 3) for i in range(24)}


def instructions(names, made=0, texts=None):
    """Return instructions of a batch; no two of them demand the same unless texts are given."""
    names = sorted(names)
    return pl.DataFrame(
        {
            "instruction_id": names,
            "instruction": [(texts or {}).get(n, f"say `{n}`") for n in names],
            "made": [made] * len(names),
        },
        schema={
            "instruction_id": pl.String,
            "instruction": pl.String,
            "made": pl.Int64,
        },
    )


def held_out(names, share, seed, others=(), texts=None):
    every = instructions({*names, *others}, 0, texts)
    return held_out_instructions(every, share, seed, names, others)


def place(name, seed=0):
    """Where every version placed an instruction that demands what no other does."""
    return int(content_id("split", str(seed), name), 16) / 2**64


@given(ids, ids, shares, seeds)
def test_two_datasets_agree_and_have_both_sides(first, second, share, seed):
    held = held_out(first, share, seed, second)
    assert held == held_out(second, share, seed, first)
    assert held <= first | second
    for dataset in (first, second):
        if len(dataset) >= 2 and share > 0:
            assert dataset & held
            assert dataset - held
    if share == 0:
        assert not held


@given(ids, shares, seeds)
def test_repeats_and_order_do_not_matter(dataset, share, seed):
    frame = instructions(dataset)
    again = pl.concat([frame, frame.reverse()])
    assert held_out_instructions(again, share, seed, sorted(dataset) * 2) == held_out(
        dataset, share, seed
    )


@given(ids, ids, ids, shares, seeds)
def test_what_demands_the_same_is_on_one_side(new, old, others, share, seed):
    every = pl.concat([instructions(new, 1, TEXTS), instructions(old, 0, TEXTS)])
    held = held_out_instructions(every, share, seed, new, others)
    assert demands(instructions(TEXTS, texts=TEXTS)).n_unique() == len(TEXTS) // len(WORDS)
    for _, group in every.group_by(demands(every)):
        names = set(group["instruction_id"])
        assert names <= held or not names & held


def test_an_instruction_keeps_its_side_when_others_come():
    early = [f"instruction {i}" for i in range(200)]
    late = [f"instruction {i}" for i in range(1000)]
    assert held_out(early, 0.2, 7) == held_out(late, 0.2, 7) & set(early)


@given(ids, ids, ids, seeds)
def test_no_later_batch_moves_an_instruction(first, second, later, seed):
    """Whatever it has in other words, as long as both sides have something."""
    both_sides = instructions([f"other {i}" for i in range(40)])
    before = pl.concat([both_sides, instructions(first, 0, TEXTS), instructions(second, 1, TEXTS)])
    after = pl.concat([before, instructions(later, 2, TEXTS)])
    held = held_out_instructions(before, 0.4, seed)
    assert held == held_out_instructions(after, 0.4, seed) & set(before["instruction_id"])


@given(ids, shares, seeds)
def test_who_demands_what_no_other_does_is_where_its_id_says(dataset, share, seed):
    below = {name for name in dataset if place(name, seed) < share}
    if below and below < dataset:
        assert held_out(dataset, share, seed) == below


def test_what_comes_later_follows_the_first_of_its_demand():
    for name in TEXTS:
        every = pl.concat(
            [
                instructions(["x", "y", "z"], 0),
                instructions([name], 0, TEXTS),
                instructions(TEXTS, 1, TEXTS),
            ]
        )
        held = held_out_instructions(every, 0.4, 0)
        assert held & _same(name) == (_same(name) if place(name) < 0.4 else set())


def test_of_one_demand_on_both_sides_all_is_trained_on():
    """What was trained on before it was known is not evaluated on later."""
    mixed = next(n for n in TEXTS if {place(m) < 0.4 for m in _same(n)} == {True, False})
    assert not held_out(_same(mixed), 0.4, 0, texts=TEXTS)


def tied(pairs, made=0):
    """Instructions whose verdicts are the same, as a batch has found out."""
    rows = [("b", one, other, made) for one, other in sorted(pairs)]
    return pl.DataFrame(rows, schema={**SAME, "made": pl.Int64}, orient="row")


pairs_of_ids = st.sets(st.tuples(st.sampled_from(sorted(TEXTS)), st.sampled_from(sorted(TEXTS))))


@given(ids, ids, pairs_of_ids, pairs_of_ids, shares, seeds)
def test_what_the_same_texts_obey_is_on_one_side(old, new, first, second, share, seed):
    """Ties of verdicts and of words are of one kind: what both tie together is one demand."""
    every = pl.concat([instructions(old, 0, TEXTS), instructions(new, 1, TEXTS)])
    same = pl.concat([tied(first, 0), tied(second, 1)])
    held = held_out_instructions(every, share, seed, old, new, same)
    groups = dict(zip(every["instruction_id"], demands(every, same), strict=True))
    there = set(groups)
    for one, other in first | second:
        assert not {one, other} <= there or groups[one] == groups[other]
    for demand in set(groups.values()):
        names = {name for name, of in groups.items() if of == demand}
        assert demand == min(names)
        assert names <= held or not names & held


@given(ids, pairs_of_ids, seeds)
def test_what_verdicts_tie_moves_to_train_and_all_else_stays(names, pairs, seed):
    """Of one batch, where one that is tied may have been trained on."""
    every = pl.concat([instructions([f"other {i}" for i in range(40)]), instructions(names)])
    before = held_out_instructions(every, 0.4, seed)
    after = held_out_instructions(every, 0.4, seed, same=tied(pairs))
    assert after <= before
    groups = dict(zip(every["instruction_id"], demands(every, tied(pairs)), strict=True))
    for name in before - after:
        with_it = {n for n, of in groups.items() if of == groups[name]}
        assert with_it - before


@given(ids, ids, ids, pairs_of_ids, pairs_of_ids, seeds)
def test_what_a_later_batch_ties_is_trained_on_or_stays(first, second, later, known, found, seed):
    both_sides = instructions([f"other {i}" for i in range(40)])
    before = pl.concat([both_sides, instructions(first, 0, TEXTS), instructions(second, 1, TEXTS)])
    after = pl.concat([before, instructions(later, 2, TEXTS)])
    # A batch has verdicts of its own instructions.
    known = {pair for pair in known if {*pair} <= second}
    found = {pair for pair in found if {*pair} <= later}
    held = held_out_instructions(before, 0.4, seed, same=tied(known, 1))
    now = held_out_instructions(after, 0.4, seed, same=pl.concat([tied(known, 1), tied(found, 2)]))
    assert now & set(before["instruction_id"]) <= held
    # And only where it is tied to what is trained on.
    groups = dict(
        zip(
            after["instruction_id"],
            demands(after, pl.concat([tied(known), tied(found)])),
            strict=True,
        )
    )
    for name in held - now:
        with_it = {n for n, of in groups.items() if of == groups[name]}
        assert with_it & set(before["instruction_id"]) - held


def test_what_comes_later_follows_what_its_verdicts_tie_it_to():
    early = ["x", "y", "z", "a", "b"]
    every = pl.concat([instructions(early), instructions(["late"], 1)])
    for name in early:
        held = held_out_instructions(every, 0.4, 0, same=tied({(name, "late")}, 1))
        assert held - {"late"} == held_out_instructions(instructions(early), 0.4, 0)
        assert ("late" in held) == (name in held)


def test_an_instruction_that_is_not_there_ties_nothing():
    every = instructions(["a", "b"])
    assert demands(every, tied({("a", "gone"), ("b", "gone")})).to_list() == ["a", "b"]
    assert demands(every.clear(), tied({("a", "b")})).to_list() == []


def _same(name):
    start = int(name, 16) // 3 * 3
    return {f"{i:02x}" for i in range(start, start + 3)}


def test_the_share_is_met_and_the_seed_matters():
    many = [f"instruction {i}" for i in range(10_000)]
    held = held_out(many, 0.1, 0)
    # Five standard deviations of a binomial with n=10,000 and p=0.1.
    assert len(held) == pytest.approx(1000, abs=150)
    assert len(held & held_out(many, 0.1, 1)) < 200


def test_a_small_share_grows_into_a_larger_one():
    many = [f"instruction {i}" for i in range(1000)]
    assert held_out(many, 0.1, 3) < held_out(many, 0.3, 3)


def test_one_instruction_is_on_one_side():
    assert held_out(["only"], 0.0001, 0) == frozenset()
    assert held_out([], 0.5, 0) == frozenset()


def test_rows_whose_instruction_is_gone_have_a_side():
    held = held_out_instructions(instructions(["a"]), 0.5, 0, ["a", "gone"], ["lost"])
    assert held & {"a", "gone"}


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=r"eval_share is .* a share from 0 up to"):
        held_out(["a", "b"], share, 0)


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_who_draws_held_out_queries_is_who_is_held_out(share):
    many = pl.concat(
        [instructions([f"instruction {i}" for i in range(1000)]), instructions(TEXTS, 0, TEXTS)]
    )
    recipe = make_recipe("paper", {"eval_share": share, "seed": 5})
    same = tied({("instruction 1", f"instruction {i}") for i in range(2, 9)} | {("00", "05")})
    for known in (tied(()), same):
        draws = many.filter(is_held_out(many, recipe, known))
        assert set(draws["instruction_id"]) == held_out_instructions(many, share, 5, same=known)


@pytest.mark.parametrize("pool", [300, 10_000])
def test_the_held_out_queries_suffice_for_an_instruction(pool):
    held = [is_eval_query(content_id("query", str(i)), PAPER.seed) for i in range(pool)]
    assert PAPER.queries_per_instruction <= sum(held)
    assert sum(held) == pytest.approx(EVAL_QUERIES * pool, abs=5 * (0.09 * pool) ** 0.5)


@st.composite
def drawn(draw):
    """Prompts of a few instructions, with whether they made rows."""
    pairs = draw(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 8)), max_size=40))
    rows = [(f"p{i}-{q}", f"i{i}", f"q{q}", draw(st.booleans())) for i, q in sorted(pairs)]
    columns = {"prompt_id": pl.String, "instruction_id": pl.String, "query_id": pl.String}
    return pl.DataFrame(rows, schema={**columns, "has_rows": pl.Boolean}, orient="row")


@given(drawn(), st.sets(st.integers(0, 6).map("i{}".format)), shares, seeds)
def test_no_query_is_on_both_sides(prompts, held, share, seed):
    queries = eval_queries(prompts, held, share, seed)
    out = left_out(prompts, held, queries)
    sides = prompts.with_columns(side=Sides(frozenset(held), out).of(prompts))
    kept = sides.filter(pl.col("side") != "neither")
    assert not kept.select("query_id", "side").unique()["query_id"].is_duplicated().any()
    assert kept.height + out.height == prompts.height
    assert set(kept.filter(side="eval")["instruction_id"]) <= held
    assert not set(kept.filter(side="train")["instruction_id"]) & held
    for prompt, query_of in out.iter_rows():
        (instruction,) = prompts.filter(prompt_id=prompt)["instruction_id"]
        assert query_of == ("train" if instruction in held else "eval")

    # What made rows stays on both sides where that is possible, and train gives up little.
    rows = prompts.filter("has_rows")
    lost = rows.filter(~pl.col("instruction_id").is_in(sorted(held)))
    if lost.height:
        assert kept.filter(pl.col("has_rows") & (pl.col("side") == "train")).height
        if set(rows["query_id"]) > set(lost["query_id"]):
            assert kept.filter(pl.col("has_rows") & (pl.col("side") == "eval")).height
    trained = prompts.filter(~pl.col("instruction_id").is_in(sorted(held)))
    given_up = out.filter(query_of="eval").height
    most = trained.group_by("query_id").len()["len"].max() or 0
    assert given_up <= max(min(share, EVAL_QUERIES) * trained.height, most)


@given(drawn(), st.sets(st.integers(0, 6).map("i{}".format)), shares, seeds)
def test_the_order_of_prompts_and_repeats_do_not_matter(prompts, held, share, seed):
    again = pl.concat([prompts.reverse(), prompts])
    queries = eval_queries(prompts, held, share, seed)
    assert eval_queries(again, held, share, seed) == queries
    assert left_out(again, held, queries).equals(left_out(prompts, held, queries))


def prompts_of(names, queries, per_instruction):
    """Prompts of instructions that all draw from the same queries, by turns."""
    rows = [
        (f"{name}/{query}", name, query, True)
        for place, name in enumerate(names)
        for query in (queries[(place * 7 + k) % len(queries)] for k in range(per_instruction))
    ]
    columns = ["prompt_id", "instruction_id", "query_id", "has_rows"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_of_shared_queries_train_gives_up_a_small_share():
    names = [f"i{n}" for n in range(100)]
    prompts = prompts_of(names, [f"q{n}" for n in range(60)], 16)
    held = frozenset(names[:5])
    out = left_out(prompts, held, eval_queries(prompts, held, 0.05, 0))
    lost = dict(out["query_of"].value_counts().iter_rows())
    trained, evaluated = 95 * 16, 5 * 16
    assert 0 < lost["eval"] <= 0.05 * trained
    assert 0 < lost["train"] < evaluated


def test_queries_that_held_out_instructions_drew_alone_cost_nothing():
    recipe = PAPER
    every = instructions([f"i{n}" for n in range(200)], made=3)
    held = held_out_instructions(every, recipe.eval_share, recipe.seed)
    queries = [f"q{n}" for n in range(300)]
    reserved = [q for q in queries if is_eval_query(q, recipe.seed)]
    others = [q for q in queries if q not in reserved]
    prompts = pl.concat(
        [
            prompts_of(sorted(held), reserved, 16),
            prompts_of(sorted(set(every["instruction_id"]) - held), others, 16),
        ]
    )
    names = every["instruction_id"]
    sides = find_sides(every, prompts, names, names, tied(()), recipe)
    assert sides.held_out == held
    assert sides.left_out.is_empty()


def test_one_query_for_all_is_of_train():
    prompts = prompts_of(["a", "b"], ["q"], 1)
    assert eval_queries(prompts, {"a"}, 0.5, 0) == frozenset()
    assert left_out(prompts, {"a"}, ())["query_of"].to_list() == ["train"]
