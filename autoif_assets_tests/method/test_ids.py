from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.ids import content_id, derived_seed, normalise

ANY_TEXT = st.text(st.characters(codec=None), max_size=50)


def test_ids_are_stable_across_versions():
    # Ids are stored in users' databases: a change here needs a migration.
    assert content_id("instruction", "Use no commas.") == "8aa4b61ab0b2c339"


@given(ANY_TEXT, ANY_TEXT)
def test_parts_do_not_run_together(first, second):
    assert content_id("k", first, second) != content_id("k", first + second)
    assert (content_id("k", first) == content_id("k", second)) == (first == second)


@given(ANY_TEXT)
def test_normalise_is_idempotent_and_ignores_white_space(text):
    once = normalise(text)
    assert normalise(once) == once
    assert normalise(f"  {text}\n") == once


@given(st.lists(st.text(), max_size=3))
def test_seeds_fit_every_server(parts):
    assert 0 <= derived_seed(*parts) < 2**31
