"""The pages as a browser gets them, of small warehouses and of a batch."""

import asyncio
import re
import signal
import subprocess
import sys

import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner

from autoif_assets.browse import application
from autoif_assets.browse.pages import id_address, row_address
from autoif_assets.cli import main
from autoif_assets.warehouse import TABLES, Warehouse
from autoif_assets.warehouse.relations import about
from autoif_assets_tests.environment import clean_environment
from autoif_assets_tests.reports.warehouses import Page, empty, filled, rows, write
from autoif_assets_tests.warehouse.backends import BACKENDS, new_warehouse
from autoif_assets_tests.warehouse.samples import put

pytestmark = pytest.mark.slow

HOSTILE = (
    "</pre></div><script>alert(1)</script><img src=http://x onerror=alert(2)>\"'&{{ 7 * 7 }}\u202e"
)


def got(warehouse, *paths, **options):
    """Return the status and the page of each path."""

    async def main():
        async with TestClient(TestServer(application(warehouse))) as client:
            answers = []
            for path in paths:
                async with client.get(path, **options) as response:
                    assert response.headers["Content-Security-Policy"].startswith(
                        "default-src 'none'"
                    )
                    answers.append((response.status, await response.text()))
            return answers

    return asyncio.run(main())


def page(warehouse, path):
    ((status, html),) = got(warehouse, path)
    assert status == 200, html
    return Page(html)


def links(found):
    return [one["href"] for one in found.attributes("a")]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    warehouse = filled(tmp_path_factory.mktemp("hostile"), tag=HOSTILE)
    warehouse.publish()
    return warehouse


# Of each kind: of a file, code, verdicts of a policy, which has no id, pairs, calls.
SHAPES = ("seed_instructions", "verifiers", "policy_verdicts", "preference_pairs", "llm_calls")


def paths_of_rows(warehouse):
    for name in SHAPES:
        row = warehouse.read(name).row(0, named=True)
        yield row_address(name, row)
        if name == "verifiers":
            yield id_address(row[about(TABLES[name])], row["batch"])


def test_every_table_and_kind_of_row_has_a_page_that_no_text_leaves(hostile):
    paths = [*(f"/table/{name}" for name in TABLES), *paths_of_rows(hostile)]
    for path, (status, html) in zip(paths, got(hostile, *paths), strict=True):
        assert status == 200, path
        found = Page(html)
        assert {"script", "img"}.isdisjoint(tag for tag, _, _ in found.elements), path
        assert not [key for _, given, _ in found.elements for key in given if key.startswith("on")]
        assert "<script>alert(1)</script>" in found.text and "\u202e" not in html, path
        assert all(href.startswith("/") for href in links(found)), path


def test_the_first_page_has_all_tables_by_group_with_their_rows(hostile):
    found = page(hostile, "/")
    assert set(TABLES) <= set(found.texts["a"])
    assert {"funnel", "verifier_gallery"} <= set(found.texts["a"])
    assert found.texts["h2"][0] == "Seeds" and found.texts["h2"][-1] == "Views"
    assert TABLES["responses"].description in found.text


def test_filters_are_links_and_chips(hostile):
    found = page(hostile, "/table/responses?status=rejected&sample.ge=1&_sort=-sample")
    assert {"status is rejected ", "sample ≥ 1 "} <= set(found.texts["li"])
    assert "1 to 2 of 2" in found.text
    assert "/table/responses?sample.ge=1&_sort=-sample" in links(found)
    assert {"descending"} == {
        one["aria-sort"] for one in found.attributes("th") if "aria-sort" in one
    }
    titles = {one.get("title") for one in found.attributes("th")}
    assert "Content id of the response, if one came. (VARCHAR)" in titles


def test_the_form_leads_to_an_address_to_pass_on(hostile):
    sent = "/table/responses?_sort=sample&_batch=b1&_column=response&_comparison=has&_value=a%26b"
    found = page(hostile, sent)
    assert {"batch is b1 ", "response contains a&b "} <= set(found.texts["li"])
    # What is hidden in the form is all but the batch, which the form chooses.
    hidden = [one for one in found.attributes("input") if one.get("type") == "hidden"]
    assert [(one["name"], one["value"]) for one in hidden] == [
        ("response.has", "a&b"),
        ("_sort", "sample"),
    ]
    ((status, _),) = got(hostile, sent, allow_redirects=False)
    assert status == 302


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/table/nothing", 404, "There is no table 'nothing'"),
        ('/table/responses";DROP', 404, "There is no table"),
        ("/table/responses?score=1", 400, "responses has no column 'score'"),
        ("/table/responses?sample.ge=abc", 400, "Could not convert string 'abc'"),
        ("/table/responses?_page=-1", 400, "is no number of a page"),
        ("/table/responses?_page=99", 200, "none so far down"),
        ("/table/responses?response=%ED%A0%80%00", 200, "No row passes these filters."),
        (
            "/row/responses?batch=b1",
            400,
            "A row of responses is named by batch, prompt_id, sample.",
        ),
        ("/row/responses?batch=b1&prompt_id=x&sample=0", 404, "no such row"),
        ("/row/funnel", 400, "named by nothing"),
        ("/id?start=abc", 400, "'abc' is no id"),
        ("/id?start=nowhere", 404, "No row of the tables is about 'nowhere'"),
        ("/id/nowhere", 404, "No row of the tables is about"),
        ("/nothing", 404, "Not Found"),
    ],
)
def test_what_cannot_be_shown_is_told(hostile, path, status, told):
    ((answered, html),) = got(hostile, path)
    assert (answered, told in Page(html).text) == (status, True), Page(html).text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8400", 200),
        ("localhost", 200),
        ("[::1]:8400", 200),
        ("attacker.example", 403),
        ("127.0.0.1.attacker.example:8400", 403),
        ("localhost@attacker.example", 403),
        ("[", 403),
    ],
)
def test_only_this_machine_is_answered(hostile, host, status):
    ((answered, html),) = got(hostile, "/", headers={"Host": host})
    assert answered == status
    assert ("/table/" in html) == (status == 200)


def test_empty_tables_say_so_and_what_is_published_later_is_seen(tmp_path):
    warehouse = empty(tmp_path)
    warehouse.publish()
    paths = ("/", "/table/responses", "/table/preference_pairs")
    first, *others = (Page(html).text for _, html in got(warehouse, *paths))
    assert "All tables are empty" in first
    assert all("No rows yet." in text for text in others)

    async def later():
        async with TestClient(TestServer(application(warehouse))) as client:
            await client.get("/table/responses")
            write(warehouse, "responses", rows("responses"))
            warehouse.publish()
            return await (await client.get("/table/responses")).text()

    assert "1 to 5 of 5" in Page(asyncio.run(later())).text
    # A run that is writing takes nothing away.
    with warehouse.transaction("writing"):
        assert got(warehouse, "/")[0][0] == 200
    warehouse.published_path.unlink()
    ((status, html),) = got(warehouse, "/")
    assert (status, "There are no tables in" in html) == (503, True)


def test_a_verifier_is_shown_with_its_cases_verdicts_and_reasons(made):
    warehouse = Warehouse(made.data)
    wrong = warehouse.read("verifiers").filter(reason="low_agreement").sort("verifier_id")
    one = wrong.row(0, named=True)
    found = page(warehouse, id_address(one["verifier_id"], "b1"))
    assert one["source"] in found.texts["code"]
    cases = warehouse.read("verifier_cases").filter(instruction_id=one["instruction_id"])
    told = [
        (row["input"], outcome["outcome"])
        for row in cases.iter_rows(named=True)
        for outcome in row["outcomes"]
        if outcome["verifier_id"] == one["verifier_id"]
    ]
    assert told
    assert found.text.count("was not run") == cases.height - len(told)
    assert all(" ".join(text.split())[:20] in " ".join(found.text.split()) for text, _ in told)
    assert "It agreed with too few test cases." in found.text
    used = warehouse.read("verifier_audits").filter(status="accepted").sort("verifier_id")
    judged = page(warehouse, id_address(used["verifier_id"][0], "b1"))
    assert "Responses" in judged.texts["h2"]
    assert "verifier_audits" in judged.texts["a"] and "back_translations" in judged.texts["a"]


def test_a_pair_is_shown_side_by_side_with_verdicts_and_where_it_comes_from(made):
    warehouse = Warehouse(made.data)
    pair = warehouse.read("query_preference_pairs").sort("pair_id").row(0, named=True)
    found = page(warehouse, row_address("query_preference_pairs", pair))
    assert {"Chosen ", "Rejected "} <= set(found.texts["h3"])
    assert pair["chosen"].strip()[:30] in found.text and pair["rejected"].strip()[:30] in found.text
    assert set(pair["failed_verifiers"]) <= set(found.texts["a"])
    assert {"chosen response_scores", "rejected response_verdicts"} <= set(found.texts["a"])
    of = page(warehouse, "/table/query_preference_pairs?pair_id=" + pair["pair_id"])
    assert f"passes {pair['chosen_pass_rate']:.0%}" in of.text
    assert row_address("query_preference_pairs", pair) in links(of)


def test_what_is_made_of_a_row_is_one_link_away(made):
    warehouse = Warehouse(made.data)
    verified = warehouse.read("verified_instructions").filter(status="accepted")
    id = verified["instruction_id"].min()
    found = page(warehouse, id_address(id, "b1"))
    (to,) = [href for href in links(found) if href.startswith("/table/augmented_queries?")]
    count = warehouse.read("augmented_queries").filter(instruction_id=id).height
    assert f"1 to {count} of {count}" in page(warehouse, to).text
    # By its beginning, as `autoif show` takes it.
    ((status, html),) = got(warehouse, f"/id?start={id[:12]}")
    assert status == 200 and id in html


@pytest.mark.parametrize("warehouse", BACKENDS, indirect=True)
def test_both_kinds_of_storage_are_browsed(warehouse):
    put(warehouse, "verifiers", {"verifier_id": "v1", "source": "def evaluate(response): ..."})
    warehouse.publish()
    found = page(warehouse, "/id/v1?batch=b1")
    assert "def evaluate(response): ..." in found.texts["code"]
    assert "1 to 1 of 1" in page(warehouse, "/table/verifiers?verifier_id.has=V").text
    assert "funnel" in page(warehouse, "/").texts["a"]


@pytest.fixture
def warehouse(request, tmp_path):
    return new_warehouse(request, tmp_path)


def test_a_folder_without_tables_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    done = CliRunner().invoke(main, ["browse"])
    assert (done.exit_code, "There are no tables in" in done.output) == (2, True)


def test_the_command_prints_where_and_ends_in_a_line(hostile):
    command = [sys.executable, "-m", "autoif_assets.cli", "browse", "--port"]
    given = {
        "env": clean_environment(AUTOIF_DATA=str(hostile.data_dir)),
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    with subprocess.Popen([*command, "0"], **given) as process:
        line = process.stdout.readline()
        port = re.search(r"http://127\.0\.0\.1:(\d+);", line)[1]
        taken = subprocess.run([*command, port], **given, check=False)
        assert taken.returncode == 2
        assert f"Port {port} cannot be listened on" in taken.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().strip() == "Stopped."
