from autoif_assets.automation.missing import Made, Stage, missing_part

# seeds -> a -> (b, c made together) -> d
STAGES = [
    Stage("seeds", "1", (), False),
    Stage("a", "1", ("seeds",), True),
    Stage("b", "1", ("a",), True, ("b", "c")),
    Stage("c", "1", ("a",), True, ("b", "c")),
    Stage("d", "1", ("c",), True),
]


def complete():
    return {
        "seeds": Made("1", "s1"),
        "a": Made("1", "a1", {"seeds": "s1"}),
        "b": Made("1", "b1", {"a": "a1"}),
        "c": Made("1", "c1", {"a": "a1"}),
        "d": Made("1", "d1", {"c": "c1"}),
    }


def test_a_complete_batch_lacks_nothing():
    assert missing_part(STAGES, complete()) == {}


def test_a_new_batch_lacks_everything():
    assert list(missing_part(STAGES, {})) == ["seeds", "a", "b", "c", "d"]


def test_what_is_downstream_of_a_missing_asset_is_made_again():
    made = complete()
    del made["a"]
    lacking = missing_part(STAGES, made)
    assert list(lacking) == ["a", "b", "c", "d"]
    assert lacking["a"] == "missing"
    assert lacking["d"] == "c is to be made"


def test_what_one_function_makes_is_made_together():
    made = complete()
    del made["b"]
    assert missing_part(STAGES, made) == {
        "b": "missing",
        "c": "made together with b",
        "d": "c is to be made",
    }


def test_changed_code_reaches_downstream_only():
    made = complete() | {"c": Made("0", "c1", {"a": "a1"})}
    lacking = missing_part(STAGES, made)
    assert lacking["c"] == "code or recipe changed"
    assert set(lacking) == {"b", "c", "d"}


def test_changed_seeds_make_everything_stale():
    made = complete() | {"seeds": Made("1", "s2")}
    assert list(missing_part(STAGES, made)) == ["a", "b", "c", "d"]
    assert missing_part(STAGES, made)["a"] == "seeds changed"


def test_an_input_made_again_with_the_same_data_is_no_change():
    made = complete() | {"a": Made("1", "a1", {"seeds": "s1"})}
    assert missing_part(STAGES, made) == {}
