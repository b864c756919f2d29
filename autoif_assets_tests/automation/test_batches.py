from autoif_assets.automation.batches import DeclaredAsset, MadeAsset, Standing

# seeds -> a -> (b, c made together) -> d
ASSETS = [
    DeclaredAsset("seeds", "1", (), False),
    DeclaredAsset("a", "1", ("seeds",), True),
    DeclaredAsset("b", "1", ("a",), True, ("b", "c")),
    DeclaredAsset("c", "1", ("a",), True, ("b", "c")),
    DeclaredAsset("d", "1", ("c",), True),
]


def complete():
    return {
        "seeds": MadeAsset("1", "s1"),
        "a": MadeAsset("1", "a1", {"seeds": "s1"}),
        "b": MadeAsset("1", "b1", {"a": "a1"}),
        "c": MadeAsset("1", "c1", {"a": "a1"}),
        "d": MadeAsset("1", "d1", {"c": "c1"}),
    }


def lacking(made):
    return dict(Standing.of(ASSETS, made).lacking)


def stale(made, changed=None):
    return dict(Standing.of(ASSETS, made, changed).stale)


def test_a_complete_batch_lacks_nothing():
    assert lacking(complete()) == stale(complete()) == {}


def test_a_new_batch_lacks_everything():
    assert list(lacking({})) == ["seeds", "a", "b", "c", "d"]
    assert stale({}) == {}


def test_what_failed_is_made_with_what_comes_after_it():
    made = complete()
    del made["c"], made["b"], made["d"]
    assert lacking(made) == {"b": "missing", "c": "missing", "d": "missing"}
    assert stale(made) == {}


def test_an_asset_that_came_later_is_no_reason_to_replace_what_is_there():
    made = complete()
    del made["a"]
    assert lacking(made) == {}
    assert stale(made) == {
        "a": "new in this version",
        "b": "a is to be made",
        "c": "made together with b",
        "d": "c is to be made",
    }
    # It cannot be made without what came later.
    del made["d"]
    assert lacking(made) == {}
    assert stale(made)["d"] == "new in this version"


def test_what_one_function_makes_is_made_together():
    made = complete()
    del made["b"]
    assert stale(made) == {
        "b": "new in this version",
        "c": "made together with b",
        "d": "c is to be made",
    }


def test_changed_code_reaches_downstream_only_and_is_for_a_person_to_follow():
    made = complete() | {"c": MadeAsset("0", "c1", {"a": "a1"})}
    assert lacking(made) == {}
    assert stale(made) == {
        "b": "made together with c",
        "c": "a rule or prompt changed",
        "d": "c is to be made",
    }


def test_what_is_missing_is_made_of_what_is_stale():
    made = complete() | {"a": MadeAsset("0", "a1", {"seeds": "s1"})}
    del made["d"]
    assert lacking(made) == {"d": "missing"}
    assert list(stale(made)) == ["a", "b", "c"]


def test_seeds_that_were_read_again_do_not_count_and_changed_ones_do():
    made = complete() | {"seeds": MadeAsset("2", "s2")}
    assert lacking(made) == stale(made) == {}
    assert stale(made, {"a": "3 of its seeds changed"})["a"] == "3 of its seeds changed"
    assert list(stale(made, {"a": "3 of its seeds changed"})) == ["a", "b", "c", "d"]


def test_an_input_made_again_with_the_same_data_is_no_change():
    made = complete() | {"a": MadeAsset("1", "a1", {"seeds": "s1"})}
    assert lacking(made) == stale(made) == {}
    made = complete() | {"a": MadeAsset("1", "a2", {"seeds": "s1"})}
    assert stale(made)["b"] == stale(made)["c"] == "a changed"


def test_what_a_failed_run_was_to_replace_is_lacking():
    made = complete() | {"a": MadeAsset("1", "a2", {"seeds": "s1"})}
    found = Standing.of(ASSETS, made)
    failed = found.with_failed(ASSETS, {"b": "failed", "c": "failed"})
    assert failed.lacking == {"b": "failed", "c": "failed", "d": "c is to be made"}
    assert failed.stale == {}
    assert found.with_failed(ASSETS, {}) is found
