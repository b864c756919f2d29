"""The optional selections in a whole batch, against what the simulator knows to be true."""

import polars as pl
import pytest

from autoif_assets.simulator.truth import truth
from autoif_assets.warehouse import Warehouse

from .pipeline import accepted, exported, run_batch, tables


def test_by_default_nothing_is_asked_and_nothing_selected(made):
    t = tables(made.data)
    assert t["response_likelihoods"].is_empty()
    assert t["sft_examples"]["status"].unique().to_list() == ["accepted"]
    assert t["filtered_queries"].filter(pl.col("reason").str.starts_with("too_")).is_empty()
    for row in t["filtered_queries"].iter_rows(named=True):
        rate = row["passing"] / row["judged"] if row["judged"] else None
        assert row["pass_at_k"] == (None if rate is None else pytest.approx(rate))


@pytest.mark.long
def test_switched_on_they_select_by_what_is_true(copied):
    before = copied.requested()
    numbers = {
        "likelihood_of": "judged",
        "ifd_min_quantile": 0.25,
        "pair_order": "likelihood",
        "difficulty": "drop_0_and_1",
    }
    replaced = run_batch(
        copied.data,
        copied.simulator.base_url,
        overrides=numbers,
        resources={"batch": {"replace": True}},
    )
    assert replaced.success
    t = tables(copied.data)
    told = t["response_likelihoods"]
    assert copied.requested() - before == 2 * told.height > 0
    assert told["status"].unique().to_list() == ["accepted"]
    assert set(told["kept"]) == {True, False}

    prompts = dict(t["augmented_queries"].select("prompt_id", "prompt").iter_rows())
    texts = dict(t["responses"].select("response_id", "response").iter_rows())
    texts |= dict(t["further_responses"].select("response_id", "response").iter_rows())
    # Prompts that only pass or only fail are dropped, so no more is asked for them.
    more = t["filtered_queries"].join(t["further_responses"], "prompt_id", "semi")
    assert not set(more["reason"]) & {"too_easy", "too_hard"}
    for row in told.iter_rows(named=True):
        known = truth(
            "likelihood", prompt=prompts[row["prompt_id"]], response=texts[row["response_id"]]
        )
        assert row["tokens"] == known["tokens"]
        for name in ("mean_logprob", "mean_logprob_alone"):
            assert row[name] == pytest.approx(known[name], abs=2e-6)
        assert row["ifd"] == pytest.approx(known["ifd"], abs=1e-4)

    kept = accepted(t["filtered_queries"])
    assert kept["pass_at_k"].is_between(0, 1, closed="none").all()
    assert "too_easy" in set(t["filtered_queries"]["reason"])
    bound = told.filter("kept")["ifd"].quantile(0.25, "linear")
    examples = t["sft_examples"]
    assert ((examples["ifd"] >= bound) == (examples["status"] == "accepted")).all()
    assert set(examples["reason"]) == {None, "low_ifd"}
    assert set(exported(copied.data, "sft")["example_id"]) == set(accepted(examples)["example_id"])
    assert set(exported(copied.data, "kto")["example_id"]) == set(t["kto_examples"]["example_id"])
    sides = Warehouse(copied.data).query(
        "SELECT id FROM (FROM autoif.dataset('train') UNION ALL FROM autoif.dataset('eval'))"
        " WHERE dataset = 'sft'"
    )
    assert set(sides["id"]) == set(accepted(examples)["example_id"])

    asked = copied.requested()
    again = {"overrides": numbers, "only": "response_likelihoods"}
    assert run_batch(copied.data, copied.simulator.base_url, **again).success
    assert copied.requested() == asked
    assert tables(copied.data)["response_likelihoods"].equals(told)
