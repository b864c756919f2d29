"""What a person sees: Dagster's UI in a real Chromium, against a real webserver and daemon.

Screenshots are left in the git-ignored folder `screenshots`; `make screenshots` takes those of the
docs from there.
"""

import re
import shutil
from pathlib import Path

import dagster as dg
import pytest

from autoif_assets.method.recipe import make_recipe
from autoif_assets.warehouse import TABLES, Batch, Warehouse, remove_batch, save_batch
from autoif_assets_tests.warehouse.samples import sample

from .conftest import PATIENCE_S
from .daemon import all_made, statuses, wait_for

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (pip install playwright)"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH"),
    pytest.mark.usefixtures("backfill"),
]
SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
GROUPS = ("seeds", "instructions", "verifiers", "queries", "responses", "training", "exports")
_PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def page(dev):
    """A browser's page."""
    SCREENSHOTS.mkdir(exist_ok=True)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        opened = browser.new_page(
            base_url=f"http://127.0.0.1:{dev.port}", viewport={"width": 1400, "height": 1000}
        )
        opened.set_default_timeout(_PATIENCE_MS)
        yield opened
        browser.close()


def shoot(page, name):
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_the_asset_graph_shows_every_group(page):
    page.goto("/asset-groups")
    for group in GROUPS:
        page.get_by_text(group, exact=True).first.wait_for()
    shoot(page, "graph")


def see_chart(page, entry, name):
    """Open a picture in the metadata; Dagster shows long Markdown in a dialog only."""
    page.locator("tr", has_text=entry).get_by_text("[Show Markdown]").first.click()
    picture = page.get_by_role("img", name=name).first
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") == 600


def test_an_asset_shows_its_columns_its_rows_and_its_checks(page):
    page.goto("/assets/response_verdicts")
    page.get_by_text("pass_rate").first.wait_for()
    page.get_by_text("sandbox/verdicts_per_s").first.wait_for()
    page.get_by_role("link", name="AutoIF, section 3.3").first.wait_for()
    page.locator("a[href$='/report.html']").first.wait_for()
    shoot(page, "asset")
    see_chart(page, "chart/pass_rate", "distribution of pass_rate")
    shoot(page, "asset-chart")
    page.goto("/assets/response_verdicts?view=checks")
    page.get_by_text("foreign_keys").first.wait_for()
    shoot(page, "checks")


def test_the_sft_examples_show_the_funnel_and_where_columns_come_from(page):
    page.goto("/assets/sft_examples")
    see_chart(page, "chart/funnel", "yield funnel")
    shoot(page, "asset-funnel")
    page.get_by_role("dialog").first.screenshot(path=SCREENSHOTS / "funnel.png")
    page.goto("/assets/sft_examples?view=lineage&column=response")
    page.get_by_text("responses", exact=True).first.wait_for()
    shoot(page, "column-lineage")


@pytest.mark.parametrize(("name", "width"), [("phone", 390), ("desktop", 1400)])
def test_the_ui_links_a_report_that_fits_the_screen_and_asks_for_nothing(page, dev, name, width):
    with dev.instance() as instance:  # The daemon makes it after the batches.
        report = dg.AssetKey("report")
        assert wait_for(lambda: instance.get_latest_materialization_event(report), PATIENCE_S, 1)
    page.goto("/assets/report")
    with page.expect_popup() as opened:
        page.locator("a[href$='/report.html']").first.click()
    report = opened.value
    report.set_viewport_size({"width": width, "height": 844})
    asked = []
    report.on("request", lambda request: asked.append(request.url))
    report.reload()
    assert report.get_by_role("heading").first.is_visible()
    assert [url for url in asked if not url.endswith("/favicon.ico")] == [report.url]
    assert report.evaluate("document.documentElement.scrollWidth") <= width
    report.screenshot(path=SCREENSHOTS / f"report-{name}.png", full_page=True)
    report.get_by_role("heading", name="Where the data went").evaluate("it => it.scrollIntoView()")
    report.screenshot(path=SCREENSHOTS / f"report-{name}-funnel.png")
    report.close()


def test_the_launchpad_knows_the_numbers_of_the_recipe(page):
    page.goto("/locations/autoif_assets.definitions/jobs/batch/playground")
    page.locator(".CodeMirror").first.wait_for()
    write = "text => document.querySelector('.CodeMirror').CodeMirror.setValue(text)"
    overrides = "resources:\n  recipe:\n    config:\n      overrides:\n        "
    page.evaluate(write, f"{overrides}respones_per_prompt: 3")
    refused = page.get_by_text('Received unexpected config entry "respones_per_prompt"')
    refused.first.wait_for()
    page.evaluate(write, f"{overrides}back_translations_per_instruction: null")
    refused.first.wait_for(state="detached")
    page.evaluate(write, f"{overrides}\n        back_translations_per_instruction: null")
    at = "() => {const editor = document.querySelector('.CodeMirror').CodeMirror;"
    page.evaluate(f"{at} editor.focus(); editor.setCursor({{line: 4, ch: 8}});}}")
    page.keyboard.type("resp")
    page.locator(".CodeMirror-hints").get_by_text("responses_per_prompt").first.wait_for()
    shoot(page, "launchpad")


def test_the_launchpad_begins_with_the_recipe_of_the_batch(page, dev):
    dev.autoif("batch", "add", "other")
    numbers = make_recipe("authors_code", {"responses_per_prompt": 7}).model_dump()
    warehouse = Warehouse(dev.data)
    save_batch(warehouse, Batch("other", recipe="authors_code", numbers=numbers))
    rows = sample(TABLES["responses"], 1, batch="other")
    warehouse.write("responses", rows, {"batch": "other"})
    page.goto("/locations/autoif_assets.definitions/jobs/batch/playground")
    page.evaluate("localStorage.clear()")  # Dagster keeps what was typed there before.
    page.reload()
    page.locator(".CodeMirror").first.wait_for()
    page.get_by_placeholder("Partition").first.click()
    page.get_by_text("other", exact=True).first.click()
    config = page.locator(".CodeMirror-code").first
    config.get_by_text("'authors_code'").wait_for()
    lines = [line.strip() for line in config.inner_text().splitlines()]
    assert "responses_per_prompt: 7" in lines, lines
    shoot(page, "launchpad-batch")
    # Nobody shall make it.
    with dev.instance() as instance:
        instance.delete_dynamic_partition("batch", "other")
    remove_batch(warehouse, "other")


def make_missing(page, name):
    """Launch what is missing of the job's batches, as a person does."""
    page.goto("/locations/autoif_assets.definitions/jobs/batch")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Missing", exact=True).click()
    shoot(page, name)
    dialog.get_by_role("button", name=re.compile("^Launch")).last.click()
    dialog.wait_for(state="detached")


@pytest.mark.parametrize(
    ("batches", "name"), [(["one"], "launch-batch"), (["two", "three"], "launch-backfill")]
)
def test_what_is_missing_is_made_from_the_ui(page, dev, batches, name):
    dev.autoif("batch", "add", *batches)
    make_missing(page, name)
    with dev.instance() as instance:
        assert wait_for(lambda: all_made(instance, batches), PATIENCE_S, 1), statuses(
            instance, batches
        )
    listed = dev.autoif("batch", "list").splitlines()
    assert {f"{batch}: complete" for batch in batches} <= set(listed)
    page.goto("/runs/")
    page.get_by_text("Success").nth(3).wait_for()
    shoot(page, "runs")


def test_the_rows_of_a_failed_run_begin_with_the_reason(page, dev):
    """Before: "Execution of run for "batch" failed. Steps failed: [...]"."""
    (dev.data / "broken.txt").write_bytes("Use no commas.".encode("utf-16"))
    mistakes = {
        "inputs": {"inputs": {"seeds": str(dev.data / "broken.txt")}},
        "v1": {"supervision": {"base_url": dev.simulator.base_url.removesuffix("/v1")}},
    }
    reasons = {
        "inputs": f"{dev.data}/broken.txt: line 1 has byte 0xff",
        "v1": f"{dev.simulator.base_url.removesuffix('/v1')} has no chat completions",
    }
    dev.autoif("batch", "add", *mistakes)
    runs = {batch: dev.launch(batch, mistakes[batch]) for batch in mistakes}
    with dev.instance() as instance:
        for batch, run in runs.items():
            assert wait_for(lambda run=run: instance.get_run_by_id(run).is_finished, PATIENCE_S)
            page.goto(f"/runs/{run}")
            kind = page.get_by_text("RUN_FAILURE", exact=True).first
            kind.wait_for()
            row = kind.locator("xpath=ancestor::*[contains(., 'Steps failed')][1]")
            words = row.inner_text()
            assert words.partition("RUN_FAILURE")[2].strip().startswith(reasons[batch]), words
            shoot(page, f"failed-{batch}")
            # So that no repair tries it.
            instance.delete_dynamic_partition("batch", batch)
