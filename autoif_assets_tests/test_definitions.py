"""What Dagster loads: every asset as a person sees it, and where settings come from."""

import json

import dagster as dg
import pytest

from autoif_assets.definitions import defs
from autoif_assets.resources import from_environment
from autoif_assets.warehouse import TABLES

# asset | group | partitions | kinds | reads
ASSETS = """
augmented_instructions | instructions | batch | duckdb openai polars | seed_instructions seed_queries
augmented_queries | queries | batch | duckdb polars | seed_queries verified_instructions
back_translations | verifiers | batch | duckdb openai polars | augmented_instructions verifiers
filtered_queries | queries | batch | duckdb polars | augmented_queries response_scores response_verdicts
instruction_preference_pairs | training | batch | duckdb polars | verified_instructions verifier_cases verifiers
preference_dataset | exports | - | json parquet | preference_pairs sft_examples
preference_pairs | training | batch | duckdb polars | instruction_preference_pairs query_preference_pairs
query_preference_pairs | training | batch | duckdb polars | augmented_queries filtered_queries response_scores response_verdicts responses
response_scores | responses | batch | duckdb openai polars | augmented_queries response_verdicts responses
response_verdicts | responses | batch | duckdb polars python | responses verifiers
responses | responses | batch | duckdb openai polars | augmented_queries
seed_instructions | seeds | - | duckdb polars | -
seed_queries | seeds | - | duckdb polars | -
sft_dataset | exports | - | json parquet | preference_pairs sft_examples
sft_examples | training | batch | duckdb polars | augmented_queries filtered_queries response_scores response_verdicts responses
test_cases | verifiers | batch | duckdb openai polars | augmented_instructions
verified_instructions | verifiers | batch | duckdb polars | augmented_instructions back_translations verifier_cases verifiers
verifier_candidates | verifiers | batch | duckdb openai polars | augmented_instructions
verifier_cases | verifiers | batch | duckdb polars python | test_cases verifier_candidates
verifiers | verifiers | batch | duckdb polars python | test_cases verifier_candidates
"""  # noqa: E501
EXPORTS = {"sft_dataset", "preference_dataset"}

SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}

VARIABLES = (
    "AUTOIF_BASE_URL",
    "AUTOIF_MODEL",
    "AUTOIF_API_KEY",
    "AUTOIF_DATA",
    "AUTOIF_SEEDS",
    "AUTOIF_QUERIES",
    "AUTOIF_QUERIES_COLUMN",
    "AUTOIF_MAX_CONCURRENCY",
    "AUTOIF_MAX_OUTAGE",
    "AUTOIF_PROFILE",
    "AUTOIF_NLI",
    "AUTOIF_NLI_MODEL",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_definitions_load():
    dg.Definitions.validate_loadable(defs)


def test_the_assets_are_those_of_the_design():
    def row(name: str, spec: dg.AssetSpec) -> str:
        return " | ".join(
            (
                name,
                spec.group_name or "-",
                spec.partitions_def.name if spec.partitions_def else "-",
                " ".join(sorted(spec.kinds)) or "-",
                " ".join(sorted(dep.asset_key.to_user_string() for dep in spec.deps)) or "-",
            )
        )

    assert [row(name, SPECS[name]) for name in sorted(SPECS)] == ASSETS.strip().splitlines()


def test_every_table_is_an_asset_and_every_asset_but_the_exports_a_table():
    assert set(SPECS) - EXPORTS == set(TABLES) - {"llm_calls"}


def test_partitions_of_assets_are_those_of_their_tables():
    for name in set(SPECS) - EXPORTS:
        batched = SPECS[name].partitions_def is not None
        assert TABLES[name].partitions == (("batch",) if batched else ()), name


@pytest.mark.parametrize("name", sorted(SPECS))
def test_an_asset_says_what_it_is(name):
    spec = SPECS[name]
    assert spec.description and spec.description.endswith((".", ")")), name
    if name in EXPORTS:
        return
    columns = spec.metadata["dagster/column_schema"].columns
    assert [column.name for column in columns] == [c.name for c in TABLES[name].columns]
    assert all(column.description and column.type for column in columns)


def test_the_job_makes_every_asset_of_one_batch():
    job = defs.resolve_job_def("batch")
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == set(SPECS)
    assert job.partitions_def is not None
    assert job.partitions_def.name == "batch"


# Setting, its variable, the text in the environment, and the value the resource then has.
SETTINGS = [
    ("warehouse", "data_dir", "AUTOIF_DATA", "elsewhere", "elsewhere"),
    ("inputs", "seeds", "AUTOIF_SEEDS", "s.txt", "s.txt"),
    ("inputs", "queries", "AUTOIF_QUERIES", "q/*.jsonl", "q/*.jsonl"),
    ("inputs", "queries_column", "AUTOIF_QUERIES_COLUMN", "ask", "ask"),
    ("recipe", "profile", "AUTOIF_PROFILE", "authors_code", "authors_code"),
    ("nli", "by", "AUTOIF_NLI", "transformers", "transformers"),
    ("nli", "model", "AUTOIF_NLI_MODEL", "some/model", "some/model"),
    ("supervision", "base_url", "AUTOIF_BASE_URL", "http://h:1/v1", "http://h:1/v1"),
    ("supervision", "model", "AUTOIF_MODEL", "big", "big"),
    ("supervision", "max_concurrency", "AUTOIF_MAX_CONCURRENCY", "7", 7),
    ("supervision", "max_outage_s", "AUTOIF_MAX_OUTAGE", "30", 30),
]


@pytest.mark.parametrize(("resource", "field", "variable", "text", "value"), SETTINGS)
def test_a_setting_comes_from_its_variable(monkeypatch, resource, field, variable, text, value):
    with dg.build_resources(from_environment()) as built:
        assert getattr(getattr(built, resource), field) != value
    monkeypatch.setenv(variable, "1")
    resources = from_environment()
    # The definitions carry the variable's name; its value is read when a run starts.
    monkeypatch.setenv(variable, text)
    with dg.build_resources(resources) as built:
        assert getattr(getattr(built, resource), field) == value


def test_an_empty_variable_is_no_setting(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    with dg.build_resources(from_environment()) as resources:
        assert resources.warehouse.data_dir == "data"
        assert resources.inputs.queries is None
        assert resources.recipe.numbers().response_pass_rate == "> 0.5"
        assert resources.supervision.max_concurrency > 1


def test_supervision_writes_to_the_warehouse_the_assets_write_to(monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", "elsewhere")
    with dg.build_resources(from_environment()) as resources:
        assert resources.supervision.warehouse.data_dir == "elsewhere"
        assert resources.io_manager.warehouse.data_dir == "elsewhere"


def test_the_key_is_no_setting_and_in_no_configuration(monkeypatch):
    monkeypatch.setenv("AUTOIF_API_KEY", "sk-very-secret")
    resources = from_environment()
    loaded = dg.Definitions(resources=resources)
    shown = [repr(resource) for resource in resources.values()]
    shown += [
        json.dumps(definition.config_schema.default_value, default=str)
        for definition in loaded.get_repository_def().get_top_level_resources().values()
        if definition.config_schema.default_provided
    ]
    with dg.build_resources(resources) as built:
        shown += [repr(built.supervision), built.supervision.model_dump_json()]
    assert "AUTOIF_API_KEY" in "".join(shown)
    assert "sk-very-secret" not in "".join(shown)
