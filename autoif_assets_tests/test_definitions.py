"""What Dagster loads: every asset as a person sees it, and where settings come from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from autoif_assets.definitions import defs
from autoif_assets.method.recipe import PAPER
from autoif_assets.resources import EndpointSettings, configured_resources
from autoif_assets.warehouse import TABLES

from .depends_on import depends_on
from .environment import clean_environment

# asset | group | partitions | kinds | reads
ASSETS = """
auditor_answers | verifiers | batch | duckdb openai polars | augmented_instructions probe_texts test_cases verifier_candidates verifier_repairs
augmented_instructions | instructions | batch | duckdb openai polars | seed_instructions seed_queries
augmented_queries | queries | batch | duckdb polars | seed_queries verdict_matrix verified_instructions
back_translations | verifiers | batch | duckdb openai polars | augmented_instructions verifiers
filtered_queries | queries | batch | duckdb polars | augmented_queries further_scores further_verdicts response_scores response_verdicts
further_responses | responses | batch | duckdb openai polars | augmented_queries response_scores response_verdicts
further_scores | responses | batch | duckdb openai polars | augmented_queries further_responses further_verdicts
further_verdicts | responses | batch | duckdb polars python | augmented_queries further_responses verifier_audits
instruction_preference_pairs | training | batch | duckdb polars | verified_instructions verifier_audits verifier_cases
kto_dataset | exports | - | json parquet | kto_examples preference_pairs sft_examples
kto_examples | training | batch | duckdb polars | augmented_queries filtered_queries further_responses further_scores further_verdicts response_scores response_verdicts responses
labelled_agreement | verifiers | batch | duckdb polars python | verifier_audits verifiers
online_preference_dataset | online | policy | json parquet | online_preference_pairs
online_preference_pairs | online | batch policy | duckdb polars | augmented_queries filtered_queries policy_responses policy_verdicts sft_examples
policy_checkpoint | online | policy | python | online_preference_dataset preference_dataset reward_dataset sft_dataset
policy_responses | online | batch policy | duckdb openai polars | augmented_queries preference_pairs sft_examples
policy_scorecard | online | batch policy | duckdb polars | policy_responses policy_verdicts verified_instructions
policy_verdicts | online | batch policy | duckdb polars python | augmented_queries policy_responses verifier_audits
preference_dataset | exports | - | json parquet | preference_pairs sft_examples
preference_pairs | training | batch | duckdb polars | instruction_preference_pairs query_preference_pairs
probe_texts | verifiers | batch | duckdb openai polars | augmented_instructions seed_queries test_cases
query_preference_pairs | training | batch | duckdb polars | augmented_queries filtered_queries further_responses further_scores further_verdicts response_likelihoods response_scores response_verdicts responses verified_instructions
report | exports | - | html | auditor_answers augmented_instructions augmented_queries back_translations filtered_queries further_responses further_scores further_verdicts instruction_preference_pairs kto_dataset kto_examples policy_responses preference_dataset preference_pairs query_preference_pairs response_scores response_verdicts responses reward_dataset seed_instructions seed_queries sft_dataset sft_examples test_cases verified_instructions verifier_audits verifier_candidates verifier_cases verifier_repairs verifiers
response_likelihoods | responses | batch | duckdb openai polars | augmented_queries further_responses further_scores further_verdicts response_scores response_verdicts responses
response_scores | responses | batch | duckdb openai polars | augmented_queries response_verdicts responses
response_verdicts | responses | batch | duckdb polars python | augmented_queries responses verifier_audits
responses | responses | batch | duckdb openai polars | augmented_queries
reward_dataset | exports | - | json parquet | preference_pairs response_verdicts rl_prompts sft_examples verifier_audits verifier_cases
rl_prompts | training | batch | duckdb polars | augmented_queries filtered_queries preference_pairs sft_examples verified_instructions
seed_instructions | seeds | - | duckdb polars python | -
seed_queries | seeds | - | duckdb polars | -
sft_dataset | exports | - | json parquet | preference_pairs sft_examples
sft_examples | training | batch | duckdb polars | augmented_queries filtered_queries further_responses further_scores further_verdicts response_likelihoods response_scores response_verdicts responses
test_cases | verifiers | batch | duckdb openai polars | augmented_instructions seed_instructions
verdict_matrix | verifiers | batch | duckdb polars python | auditor_answers back_translations probe_texts verifier_cases verifiers
verified_instructions | verifiers | batch | duckdb polars | augmented_instructions back_translations verdict_matrix verifier_audits verifier_cases
verifier_audits | verifiers | batch | duckdb polars python | auditor_answers back_translations probe_texts verifier_cases verifiers
verifier_candidates | verifiers | batch | duckdb openai polars | augmented_instructions seed_instructions
verifier_cases | verifiers | batch | duckdb polars python | auditor_answers probe_texts test_cases verifier_candidates verifier_repairs
verifier_repairs | verifiers | batch | duckdb openai polars | augmented_instructions probe_texts test_cases verifier_candidates
verifiers | verifiers | batch | duckdb polars python | auditor_answers probe_texts test_cases verifier_candidates verifier_repairs
"""  # noqa: E501
# asset | its checks; "!" stops what is downstream
CHECKS = """
auditor_answers | accepted_parents! foreign_keys keys!
augmented_instructions | foreign_keys keys! yield_bounds
augmented_queries | accepted_parents! foreign_keys keys!
back_translations | accepted_parents! foreign_keys keys! yield_bounds
filtered_queries | foreign_keys keys! yield_bounds
further_responses | foreign_keys keys! yield_bounds
further_scores | accepted_parents! foreign_keys keys! yield_bounds
further_verdicts | accepted_parents! foreign_keys keys! no_verdict_share yield_bounds
instruction_preference_pairs | accepted_parents! foreign_keys keys! pass_again!
kto_dataset | splits!
kto_examples | accepted_parents! dominance foreign_keys keys! pass_again!
labelled_agreement | accepted_parents! foreign_keys keys!
online_preference_dataset | -
online_preference_pairs | accepted_parents! foreign_keys keys!
policy_checkpoint | -
policy_responses | foreign_keys keys!
policy_scorecard | keys!
policy_verdicts | accepted_parents! foreign_keys keys! no_verdict_share
preference_dataset | splits!
preference_pairs | accepted_parents! dominance foreign_keys keys! length_bias yield_bounds
probe_texts | accepted_parents! foreign_keys keys!
query_preference_pairs | accepted_parents! foreign_keys keys! pass_again!
report | -
response_likelihoods | accepted_parents! foreign_keys keys!
response_scores | accepted_parents! foreign_keys keys! yield_bounds
response_verdicts | accepted_parents! foreign_keys keys! no_verdict_share yield_bounds
responses | foreign_keys keys! yield_bounds
reward_dataset | splits!
rl_prompts | foreign_keys keys!
seed_instructions | keys!
seed_queries | keys!
sft_dataset | splits!
sft_examples | accepted_parents! dominance foreign_keys keys! pass_again! yield_bounds
test_cases | accepted_parents! foreign_keys keys! yield_bounds
verdict_matrix | accepted_parents! foreign_keys keys!
verified_instructions | accepted_parents! foreign_keys keys! yield_bounds
verifier_audits | accepted_parents! foreign_keys keys! yield_bounds
verifier_candidates | accepted_parents! foreign_keys keys! yield_bounds
verifier_cases | accepted_parents! foreign_keys keys! no_verdict_share yield_bounds
verifier_repairs | accepted_parents! foreign_keys keys!
verifiers | accepted_parents! foreign_keys keys! yield_bounds
"""
# asset | what its code version is a hash of beside its rules: prompts | numbers of the recipe
VERSIONS = """
auditor_answers | audit | audit_max_tokens audit_temperature audited_texts_per_instruction count_samples modules prompts reject_constants seed
augmented_instructions | category self_instruct | categorise coverage category_max_tokens category_temperature language prompts seed instructions_per_batch instructions_per_call seeds_per_batch seed_examples_per_call self_instruct_temperature self_instruct_max_tokens
augmented_queries | - | seed queries_per_instruction eval_share split_queries
back_translations | back_translation nli | prompts seed back_translations_per_instruction back_translation_temperature back_translation_max_tokens nli_temperature nli_max_tokens
filtered_queries | - | difficulty difficulty_k difficulty_min difficulty_max
further_responses | near_miss response | language prompts seed near_misses_per_prompt near_miss_temperature near_miss_max_tokens further_responses_per_prompt response_temperature response_max_tokens difficulty difficulty_k difficulty_min difficulty_max
further_scores | score | prompts seed min_score score_failing score_temperature score_max_tokens
further_verdicts | - | modules response_pass_rate
instruction_preference_pairs | - | seed chosen_pass_rate chosen_per_prompt rejected_per_prompt pairs_per_prompt
kto_dataset | - | seed eval_share
kto_examples | - | -
labelled_agreement | - | modules
online_preference_dataset | - | seed eval_share
online_preference_pairs | - | seed chosen_pass_rate chosen_per_prompt rejected_per_prompt pairs_per_prompt near_identical min_rejected_score reject_degenerate contrast_min_gap spin_pairs
policy_checkpoint | - | -
policy_responses | response | language prompts seed policy_responses_per_prompt policy_temperature response_max_tokens eval_share
policy_scorecard | - | seed policy_responses_per_prompt bootstrap_samples
policy_verdicts | - | modules response_pass_rate
preference_dataset | - | seed eval_share
preference_pairs | - | near_identical min_rejected_score reject_degenerate
probe_texts | near_miss response | breaking_probes_per_instruction eval_share language near_miss_max_tokens near_miss_temperature obeying_probes_per_instruction probe_texts_per_batch prompts response_max_tokens response_temperature seed split_queries
query_preference_pairs | - | seed chosen_pass_rate chosen_per_prompt rejected_per_prompt pairs_per_prompt pair_order
report | - | -
response_likelihoods | - | seed likelihood_of
response_scores | score | prompts seed min_score score_failing score_temperature score_max_tokens
response_verdicts | - | modules response_pass_rate
responses | response | language prompts seed responses_per_prompt response_temperature response_max_tokens
reward_dataset | - | seed eval_share
rl_prompts | - | eval_share rl_difficulty rl_difficulty_max rl_difficulty_min seed
seed_instructions | - | modules
seed_queries | - | query_min_chars query_max_chars conversations
sft_dataset | - | seed eval_share
sft_examples | - | ifd_min_quantile ifd_max_quantile ifd_below sft_max_chars
test_cases | boundary_cases verifier verifier_with_query | boundary_cases boundary_cases_max_tokens boundary_cases_temperature modules prompts seed verifier_max_tokens verifier_temperature verifiers_per_instruction
verdict_matrix | - | contradiction_rejects modules mutants_per_verifier
verified_instructions | - | contradiction_rejects max_base_rate min_base_rate
verifier_audits | - | contradiction_rejects modules mutants_per_verifier
verifier_candidates | boundary_cases verifier verifier_with_query | boundary_cases boundary_cases_max_tokens boundary_cases_temperature modules prompts seed verifier_max_tokens verifier_temperature verifiers_per_instruction
verifier_cases | - | agreement_by_label audited_texts_per_instruction auditor_min_agreement case_agreement count_samples min_cases min_cases_per_label min_verifiers modules reject_constants reject_fragile sibling_agreement surviving_cases verifier_agreement
verifier_repairs | repair | agreement_by_label audited_texts_per_instruction auditor_min_agreement case_agreement count_samples min_cases min_cases_per_label min_verifiers modules prompts reject_constants reject_fragile repair_max_tokens repair_rounds repair_temperature repairs_per_instruction seed sibling_agreement surviving_cases verifier_agreement
verifiers | - | agreement_by_label audited_texts_per_instruction auditor_min_agreement case_agreement count_samples min_cases min_cases_per_label min_verifiers modules reject_constants reject_fragile sibling_agreement surviving_cases verifier_agreement
"""  # noqa: E501
EXPORTS = {"sft_dataset", "preference_dataset", "kto_dataset", "reward_dataset", "report"}
ONLINE = {
    *("policy_responses", "policy_verdicts", "online_preference_pairs", "policy_scorecard"),
    *("online_preference_dataset", "policy_checkpoint"),
}
NO_TABLE = EXPORTS | {"online_preference_dataset", "policy_checkpoint"}

SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
DEPENDS_ON = depends_on()

ROLES = ("RESPONDER", "JUDGE", "AUDITOR", "NLI", "POLICY")
VARIABLES = (
    *(f"AUTOIF_{role}_{name}" for role in ROLES for name in ("BASE_URL", "MODEL", "API_KEY")),
    "AUTOIF_MAX_REQUESTS",
    "AUTOIF_MAX_TOKENS",
    "AUTOIF_MAX_COST",
    "AUTOIF_PRICE_PROMPT",
    "AUTOIF_PRICE_CACHED",
    "AUTOIF_PRICE_COMPLETION",
    "AUTOIF_POLICY_MAX_CONCURRENCY",
    "AUTOIF_BASE_URL",
    "AUTOIF_MODEL",
    "AUTOIF_API_KEY",
    "AUTOIF_DATA",
    "AUTOIF_SEEDS",
    "AUTOIF_QUERIES",
    "AUTOIF_QUERIES_COLUMN",
    "AUTOIF_LABELLED",
    "AUTOIF_MAX_CONCURRENCY",
    "AUTOIF_MAX_OUTAGE",
    "AUTOIF_RECIPE",
    "AUTOIF_OVERRIDES",
    "AUTOIF_NLI",
)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_definitions_load():
    dg.Definitions.validate_loadable(defs)


def dimensions(spec: dg.AssetSpec) -> tuple[str, ...]:
    definition = spec.partitions_def
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return tuple(one.name for one in definition.partitions_defs)
    return () if definition is None else (definition.name,)


def test_the_assets_are_those_of_the_design():
    def row(name: str, spec: dg.AssetSpec) -> str:
        return " | ".join(
            (
                name,
                spec.group_name or "-",
                " ".join(dimensions(spec)) or "-",
                " ".join(sorted(spec.kinds)) or "-",
                " ".join(sorted(dep.asset_key.to_user_string() for dep in spec.deps)) or "-",
            )
        )

    assert [row(name, SPECS[name]) for name in sorted(SPECS)] == ASSETS.strip().splitlines()


def test_every_table_is_an_asset_and_every_asset_but_the_exports_a_table():
    beside = {"llm_calls", "policies", "batches", "input_sets"}
    beside |= {"dataset_splits", "dataset_left_out"}
    assert set(SPECS) - NO_TABLE == set(TABLES) - beside


def test_the_checks_are_those_of_the_design():
    graph = defs.resolve_asset_graph()

    def shown(name: str) -> str:
        checks = sorted(graph.get_check_keys_for_assets({dg.AssetKey(name)}), key=lambda k: k.name)
        words = (k.name + "!" * graph.get(k).blocking for k in checks)
        return f"{name} | {' '.join(words) or '-'}"

    assert [shown(name) for name in sorted(SPECS)] == CHECKS.strip().splitlines()


def test_partitions_of_assets_are_those_of_their_tables():
    for name in set(SPECS) - NO_TABLE:
        assert TABLES[name].partitions == dimensions(SPECS[name]), name


@pytest.mark.parametrize("name", sorted(SPECS))
def test_an_asset_says_what_it_is(name):
    spec = SPECS[name]
    assert spec.description and spec.description.endswith((".", ")")), name
    assert spec.metadata["report"].url.endswith("/report.html")
    if name in NO_TABLE:
        return
    assert TABLES[name].rule in spec.description
    assert ("(https://arxiv.org/abs/2406.13542)" in spec.description) == bool(TABLES[name].section)
    columns = spec.metadata["dagster/column_schema"].columns
    assert [column.name for column in columns] == [c.name for c in TABLES[name].columns]
    assert all(column.description and column.type for column in columns)


def test_the_jobs_make_a_batch_and_the_exports():
    job, exports = defs.resolve_job_def("batch"), defs.resolve_job_def("exports")

    def keys(job):
        return {key.to_user_string() for key in job.asset_layer.executable_asset_keys}

    assert keys(exports) == EXPORTS
    assert keys(job) == set(SPECS) - EXPORTS - ONLINE
    online, training = defs.resolve_job_def("online"), defs.resolve_job_def("training")
    assert keys(online) | keys(training) == ONLINE | {"report"}
    assert job.partitions_def is not None
    assert job.partitions_def.name == "batch"


def test_the_exports_follow():
    assert {name for name, spec in SPECS.items() if spec.automation_condition} == EXPORTS


def test_the_code_versions_are_of_what_the_design_says():
    def row(name: str) -> str:
        depends_on = DEPENDS_ON[name]
        lists = sorted(depends_on.prompts), sorted(depends_on.numbers)
        return " | ".join((name, *(" ".join(names) or "-" for names in lists)))

    def ordered(line: str) -> str:
        return " | ".join(" ".join(sorted(part.split())) for part in line.split(" | "))

    wanted = [ordered(line) for line in VERSIONS.strip().splitlines()]
    assert [row(name) for name in sorted(SPECS)] == wanted
    for name, spec in SPECS.items():
        # The numbers of a batch are pinned, so that they make nothing stale.
        pinned = name in TABLES and "batch" in TABLES[name].partitions
        wanted = DEPENDS_ON[name].code_version(None if pinned else PAPER)
        assert spec.code_version == wanted, name


def test_what_asks_a_model_is_in_the_pool_and_only_the_client_retries():
    ops = {
        key.to_user_string(): asset.op
        for asset in defs.resolve_asset_graph().assets_defs
        for key in asset.keys
        if asset.is_executable and asset.keys
    }
    for name, spec in SPECS.items():
        asks = "openai" in spec.kinds
        assert ops[name].pool == ("endpoint" if asks else None), name
        assert ops[name].retry_policy is None, name
        # The prompts it sends are shown, and linked to; likelihoods are of texts as they are.
        roles = sorted(DEPENDS_ON[name].prompts)
        assert bool(roles) is (asks and name != "response_likelihoods")
        links = spec.metadata["dagster/code_references"].code_references
        assert [link.label for link in links if link.label] == [f"prompt {role}" for role in roles]
        assert all(Path(link.file_path).is_file() for link in links)
        assert {f"prompt/{role}" for role in roles} == {
            key for key in spec.metadata if key.startswith("prompt/")
        }


def test_a_backfill_makes_one_run_a_batch():
    graph = defs.resolve_asset_graph()
    for name, spec in SPECS.items():
        policy = graph.get(dg.AssetKey(name)).backfill_policy
        one_a_batch = None if spec.partitions_def is None else dg.BackfillPolicy.multi_run(1)
        assert policy == one_a_batch, name


_FRESHNESS = """
import autoif_assets.definitions as loaded
for spec in loaded.defs.resolve_all_asset_specs():
    if spec.freshness_policy:
        print(spec.key.to_user_string(), spec.freshness_policy.deadline_cron)
"""


@pytest.mark.slow
def test_with_nights_the_exports_have_a_deadline():
    assert not any(spec.freshness_policy for spec in SPECS.values())
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FRESHNESS],
        env=os.environ | {"AUTOIF_NIGHTLY_CRON": "30 2 * * *"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(done.stdout.splitlines()) == sorted(f"{name} 30 2 * * *" for name in EXPORTS)


def test_overrides_come_from_their_variable(monkeypatch):
    monkeypatch.setenv("AUTOIF_OVERRIDES", '{"responses_per_prompt": 3}')
    with dg.build_resources(configured_resources()) as resources:
        assert resources.recipe.load().responses_per_prompt == 3
    monkeypatch.setenv("AUTOIF_OVERRIDES", "responses_per_prompt=3")
    with pytest.raises(ValueError, match=r"AUTOIF_OVERRIDES .* JSON object"):
        configured_resources()


# Setting, its variable, the text in the environment, and the value the resource then has.
SETTINGS = [
    ("warehouse", "data_dir", "AUTOIF_DATA", "elsewhere", "elsewhere"),
    ("inputs", "seeds", "AUTOIF_SEEDS", "s.txt", "s.txt"),
    ("inputs", "queries", "AUTOIF_QUERIES", "q/*.jsonl", "q/*.jsonl"),
    ("inputs", "queries_column", "AUTOIF_QUERIES_COLUMN", "ask", "ask"),
    ("inputs", "labelled", "AUTOIF_LABELLED", "l/*.csv", "l/*.csv"),
    ("recipe", "name", "AUTOIF_RECIPE", "authors_code", "authors_code"),
    ("nli", "by", "AUTOIF_NLI", "transformers", "transformers"),
    ("nli", "model", "AUTOIF_NLI_MODEL", "some/model", "some/model"),
    ("supervision", "base_url", "AUTOIF_BASE_URL", "http://h:1/v1", "http://h:1/v1"),
    ("supervision", "model", "AUTOIF_MODEL", "big", "big"),
    ("supervision", "max_concurrency", "AUTOIF_MAX_CONCURRENCY", "7", 7),
    ("supervision", "max_outage_s", "AUTOIF_MAX_OUTAGE", "30", 30),
    ("responder", "base_url", "AUTOIF_RESPONDER_BASE_URL", "http://h:2/v1", "http://h:2/v1"),
    ("responder", "model", "AUTOIF_RESPONDER_MODEL", "small", "small"),
    ("judge", "model", "AUTOIF_JUDGE_MODEL", "strict", "strict"),
    ("policy", "max_concurrency", "AUTOIF_POLICY_MAX_CONCURRENCY", "3", 3),
    ("budget", "max_requests", "AUTOIF_MAX_REQUESTS", "100", 100),
    ("budget", "max_tokens", "AUTOIF_MAX_TOKENS", "5000", 5000),
]


@pytest.mark.slow
@pytest.mark.parametrize(("resource", "field", "variable", "text", "value"), SETTINGS)
def test_a_setting_comes_from_its_variable(monkeypatch, resource, field, variable, text, value):
    with dg.build_resources(configured_resources()) as built:
        assert getattr(getattr(built, resource), field) != value
    monkeypatch.setenv(variable, text)
    with dg.build_resources(configured_resources()) as built:
        assert getattr(getattr(built, resource), field) == value


def test_an_empty_variable_is_no_setting(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    with dg.build_resources(configured_resources()) as resources:
        assert resources.warehouse.data_dir == "data"
        assert resources.inputs.queries is None
        assert resources.recipe.load().response_pass_rate == "> 0.5"
        assert resources.supervision.settings() == EndpointSettings()
        assert resources.judge.settings() == EndpointSettings()
        assert resources.budget.max_cost is None


def test_supervision_writes_to_the_warehouse_the_assets_write_to(monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", "elsewhere")
    with dg.build_resources(configured_resources()) as resources:
        assert resources.supervision.warehouse.data_dir == "elsewhere"
        assert resources.io_manager.warehouse.data_dir == "elsewhere"


def test_the_key_is_no_setting_and_in_no_configuration(monkeypatch):
    monkeypatch.setenv("AUTOIF_API_KEY", "sk-very-secret")
    resources = configured_resources()
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


# What loading the definitions may import beside Dagster, Polars and DuckDB and what these bring:
# every module costs each run and each daemon process its time.
IMPORTS = {
    *("dagster_duckdb", "dotenv", "jinja2", "json_repair", "numpy", "pyarrow", "pydantic_settings"),
    "yaml",
}
_BROUGHT = {
    *("aiohappyeyeballs", "aiosignal", "attr", "frozenlist", "idna", "markupsafe", "multidict"),
    "propcache",
}
_LOAD = """
import sys, dagster, duckdb, polars
before = {name.partition(".")[0] for name in sys.modules}
import autoif_assets.definitions
after = {name.partition(".")[0] for name in sys.modules}
print(*sorted(after - before - set(sys.stdlib_module_names)))
"""


@pytest.mark.slow
def test_loading_the_definitions_imports_nothing_heavy(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LOAD],
        env=clean_environment(AUTOIF_DATA=str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name for name in done.stdout.split() if not name.startswith("_")}
    assert loaded - {"autoif_assets"} <= IMPORTS | _BROUGHT
