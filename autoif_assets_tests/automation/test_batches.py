from autoif_assets.automation.batches import DeclaredAsset, MadeAsset, missing_or_stale

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


def test_a_complete_batch_lacks_nothing():
    assert missing_or_stale(ASSETS, complete()) == {}


def test_a_new_batch_lacks_everything():
    assert list(missing_or_stale(ASSETS, {})) == ["seeds", "a", "b", "c", "d"]


def test_what_is_downstream_of_a_missing_asset_is_made_again():
    made = complete()
    del made["a"]
    lacking = missing_or_stale(ASSETS, made)
    assert list(lacking) == ["a", "b", "c", "d"]
    assert lacking["a"] == "missing"
    assert lacking["d"] == "c is to be made"


def test_what_one_function_makes_is_made_together():
    made = complete()
    del made["b"]
    assert missing_or_stale(ASSETS, made) == {
        "b": "missing",
        "c": "made together with b",
        "d": "c is to be made",
    }


def test_changed_code_reaches_downstream_only():
    made = complete() | {"c": MadeAsset("0", "c1", {"a": "a1"})}
    lacking = missing_or_stale(ASSETS, made)
    assert lacking["c"] == "code or recipe changed"
    assert set(lacking) == {"b", "c", "d"}


def test_changed_seeds_make_everything_stale():
    made = complete() | {"seeds": MadeAsset("1", "s2")}
    assert list(missing_or_stale(ASSETS, made)) == ["a", "b", "c", "d"]
    assert missing_or_stale(ASSETS, made)["a"] == "seeds changed"


def test_an_input_made_again_with_the_same_data_is_no_change():
    made = complete() | {"a": MadeAsset("1", "a1", {"seeds": "s1"})}
    assert missing_or_stale(ASSETS, made) == {}
