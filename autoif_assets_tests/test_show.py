"""`autoif show`: any row by its id, with what it was made from."""

import re

import polars as pl
import pytest
from click.testing import CliRunner

from autoif_assets.cli import main
from autoif_assets.cli.demos import print_examples
from autoif_assets.warehouse import TABLES, Warehouse, open_published
from autoif_assets.warehouse.relations import about, keys_of_table, parents, rows_about

from .environment import clear


@pytest.fixture
def show(made, monkeypatch):
    clear(monkeypatch)
    monkeypatch.setenv("AUTOIF_DATA", str(made.data))
    return lambda *words: CliRunner().invoke(main, ["show", *words], catch_exceptions=False)


@pytest.fixture
def query(made):
    with open_published(Warehouse(made.data).published_path) as con:
        yield lambda sql, values=(): pl.DataFrame(con.sql(sql, params=values).to_arrow_table())


def tables_above(query, row_id):
    """Return the tables of all that a row was made from."""
    found, waiting = set(), rows_about(query, row_id)
    while waiting:
        child = waiting.pop()
        for parent in parents(query, child):
            if (parent.table, parent.id) not in found:
                found.add((parent.table, parent.id))
                waiting.append(parent)
    return {table for table, _ in found}


def test_every_table_with_ids_says_what_its_rows_are_about():
    for table in TABLES.values():
        ids = [column.name for column in table.columns if column.name.endswith("_id")]
        assert bool(about(table)) == bool(ids), table.name
        for key in keys_of_table(table):
            assert set(key.columns) <= {column.name for column in table.columns}


def test_what_is_trained_on_leads_to_its_seeds_and_calls(query):
    for table, roots in {
        "sft_examples": {"responses", "seed_queries", "augmented_instructions", "llm_calls"},
        "query_preference_pairs": {"response_verdicts", "seed_queries", "llm_calls"},
        "instruction_preference_pairs": {"verifier_cases", "test_cases", "llm_calls"},
        "verifier_audits": {"verifier_candidates", "augmented_instructions", "llm_calls"},
    }.items():
        row_id = query(f"SELECT min({about(TABLES[table])}) AS id FROM autoif.{table}").item()
        assert roots <= tables_above(query, row_id) | {f.table for f in rows_about(query, row_id)}
    seed = query(
        "SELECT min(instruction_id) AS id FROM autoif.augmented_instructions WHERE origin = 'seed'"
    ).item()
    assert "seed_instructions" in {found.table for found in rows_about(query, seed)}


def test_a_row_is_shown_with_its_gates_and_its_way(show, query):
    pair = query("SELECT * FROM autoif.query_preference_pairs ORDER BY pair_id").row(0, named=True)
    # By its beginning, too.
    done = show(pair["pair_id"][:12])
    assert done.exit_code == 0, done.output
    assert f"{pair['pair_id']} was made from" in done.output
    assert f"chosen response_scores {pair['chosen_id']}" in done.output
    assert f"rejected response_verdicts {pair['rejected_id']}" in done.output
    assert f"augmented_queries {pair['prompt_id']}" in done.output
    verifier = query(
        "SELECT verifier_id AS id FROM autoif.verifiers WHERE reason = 'low_agreement' ORDER BY id"
    )["id"][0]
    done = show(verifier)
    assert "def evaluate(" in done.output
    assert "low_agreement: It agreed with too few test cases." in done.output
    instruction = query("SELECT min(instruction_id) FROM autoif.verified_instructions").item()
    assert "augmented_queries" in show(instruction).output.rpartition("Rows that name it:")[2]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["abc"], "'abc' is no id: give 4 letters"),
        (["nowhere"], "No row of the tables in .* has the id nowhere"),
        (["$id', --"], "No row of the tables"),
    ],
)
def test_what_is_no_id_is_told(show, words, told):
    done = show(*words)
    assert done.exit_code == 2
    assert re.search(told, done.output.replace("\n", " "))


def test_a_folder_without_tables_is_told(tmp_path, monkeypatch):
    clear(monkeypatch)
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    done = CliRunner().invoke(main, ["show", "0123456789abcdef"])
    assert (done.exit_code, "There are no tables in" in done.output) == (2, True)


def test_the_demo_ends_with_a_row_a_pair_and_what_may_be_typed_next(show, made, query, capsys):
    print_examples("b1")
    shown = capsys.readouterr().out
    assert "SFT example" in shown and "chosen, passes" in shown and "rejected, passes 0%" in shown
    (command,) = [line for line in shown.splitlines() if " show " in line]
    assert f"AUTOIF_DATA={made.data}" in command
    assert show(command.split()[-1]).exit_code == 0
    assert "AUTOIF_MODEL=NAME" in shown.splitlines()[-1]
