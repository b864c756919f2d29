"""The pages in a real Chromium: links, forms, and that they fit the screen and ask nobody else."""

import asyncio
import shutil
import threading

import pytest

from autoif_assets.browse import application, listening
from autoif_assets.warehouse import Warehouse
from autoif_assets_tests.dev.test_browser import SCREENSHOTS

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (pip install playwright)"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH"),
    pytest.mark.long,
]


@pytest.fixture(scope="module")
def address(made):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def on_loop(act):
        return asyncio.run_coroutine_threadsafe(act, loop).result()

    runner = on_loop(listening(application(Warehouse(made.data)), 0))
    host, port = runner.addresses[0]
    yield f"http://{host}:{port}"
    on_loop(runner.cleanup())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def browser():
    SCREENSHOTS.mkdir(exist_ok=True)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.mark.parametrize(("name", "width", "height"), [("phone", 390, 844), ("desktop", 1200, 640)])
def test_a_person_gets_from_the_tables_to_a_verifier_of_a_pair(
    address, browser, name, width, height
):
    scheme = "dark" if name == "phone" else "light"
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    asked, said = set(), []
    page.on("request", lambda request: asked.add(request.url.removeprefix(address)[:1]))
    page.on("console", lambda message: said.append(message.text))

    def looks(of):
        assert page.evaluate("document.documentElement.scrollWidth") <= width, of
        page.screenshot(path=SCREENSHOTS / f"browse-{of}-{name}.png")

    page.goto(address)
    looks("tables")
    page.get_by_role("link", name="responses", exact=True).click()
    page.locator("select[name=_column]").select_option("status")
    page.locator("input[name=_value]").fill("rejected")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("status is rejected").wait_for()
    looks("rows")
    page.get_by_role("link", name="Tables").click()
    page.get_by_role("link", name="query_preference_pairs").click()
    boxes = [
        page.locator(f"section.{side}").first.bounding_box() for side in ("chosen", "rejected")
    ]
    assert (boxes[0]["y"] == boxes[1]["y"]) == (name == "desktop")
    looks("pairs")
    page.get_by_role("link", name="Pair 1", exact=True).click()
    page.locator("section.rejected .verdicts a").first.click()
    assert page.locator("pre.code").first.inner_text().count("def evaluate")
    assert page.get_by_role("heading", name="Test cases").is_visible()
    looks("verifier")
    assert (asked, said) == ({"/"}, [])
    page.close()
