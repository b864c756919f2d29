"""The page: complete, safe whatever the model wrote, and readable by everybody."""

import re
import unicodedata
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from autoif_assets import reports
from autoif_assets.reports import formatting, render_page

from .warehouses import STAGES, Page, empty, filled, report_data, rows, write

pytestmark = pytest.mark.slow

HOSTILE = "</pre></div><script>alert(1)</script><img src=http://x onerror=alert(2)>\"'&{{ 7 * 7 }}"
CSS = (Path(reports.__file__).parent / "style.css").read_text("utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return report_data(filled(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def empty_data(tmp_path_factory):
    return report_data(empty(tmp_path_factory.mktemp("empty")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return render_page(report_data(filled(tmp_path_factory.mktemp("hostile"), tag=HOSTILE)))


def ids(found: Page) -> list[str]:
    return [attributes["id"] for _, attributes, _ in found.elements if "id" in attributes]


def test_every_stage_is_in_the_funnel_and_every_gate_shows_kept_and_dropped_rows(data):
    html = render_page(data)
    found = Page(html)
    gates = [stage.name for stage in STAGES if stage.is_gate]
    assert len(gates) == 19
    assert {f"stage-{name}" for name in gates} <= set(ids(found))
    for stage in STAGES:
        assert formatting.title(stage.name) in found.texts["a"] + found.texts["th"]
    for stage in gates:
        section = html.split(f'id="stage-{stage}"')[1].split("<h3")[0]
        assert "<summary>Kept " in section, stage
        assert "<summary>Dropped: too short " in section, stage
        # Three of five rows are rejected. Of pairs, two of each level and origin are shown.
        assert "(2 of 3)" in section, stage
    assert html.count("40 % kept</title>") == len(gates)


def test_an_empty_folder_has_a_page_that_says_so(empty_data):
    found = Page(render_page(empty_data))
    assert "All tables are empty" in found.text
    assert "No model calls yet." in found.text
    for stage in STAGES:
        if stage.is_gate:
            assert f"stage-{stage.name}" in ids(found)
    assert "chart" not in [a.get("class") for a in found.attributes("svg")]


def test_a_page_with_rows_does_not_say_that_there_are_none(data):
    assert "All tables are empty" not in render_page(data)


def test_the_same_rows_make_the_same_page_in_whatever_order_they_are_stored(tmp_path):
    one = filled(tmp_path / "one", count=40)
    other = filled(tmp_path / "other", count=40, shuffled=True)
    assert render_page(report_data(one)) == render_page(report_data(other))


def test_the_models_text_is_text(hostile):
    found = Page(hostile)
    assert HOSTILE in found.text
    assert str(escape(HOSTILE)) in hostile
    tags = {tag for tag, _, _ in found.elements}
    assert tags.isdisjoint({"script", "img", "iframe", "object", "link", "form", "base"})
    assert not [a for _, a, _ in found.elements if any(name.startswith("on") for name in a)]
    assert "{{ 7 * 7 }}" in found.text


def test_control_characters_do_not_reach_the_page(tmp_path):
    html = render_page(report_data(filled(tmp_path, tag="\x00\x1b[31m\x85")))
    assert "␀␛[31m\ufffd" in html
    assert [char for char in html if unicodedata.category(char) == "Cc" and char != "\n"] == []


def test_bidi_controls_do_not_reach_the_page(tmp_path):
    html = render_page(report_data(filled(tmp_path, tag="a\u202eb\u2066c")))
    assert "abc" in html
    assert not {"\u202e", "\u2066"} & set(html)


def test_nothing_is_loaded_from_anywhere(hostile, data):
    for html in (hostile, render_page(data)):
        found = Page(html)
        for _, attributes, _ in found.elements:
            for name in ("src", "srcset", "data", "action", "poster", "xlink:href"):
                assert name not in attributes
            assert (attributes.get("href") or "#").startswith("#")
        assert "url(" not in CSS
        assert "@import" not in CSS
        (policy,) = [a["content"] for a in found.attributes("meta") if "http-equiv" in a]
        assert policy.startswith("default-src 'none';")


def test_links_within_the_page_lead_somewhere_and_ids_are_unique(data):
    found = Page(render_page(data))
    assert max(Counter(ids(found)).values()) == 1
    targets = {a["href"].removeprefix("#") for a in found.attributes("a")}
    assert len(targets) > 10
    assert targets <= set(ids(found))
    for _, attributes, _ in found.elements:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids(found))


def test_headings_go_down_by_one_and_there_is_one_title(data):
    found = Page(render_page(data))
    assert found.headings.count(1) == 1
    assert found.headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(found.headings))
    assert found.attributes("html") == [{"lang": "en"}]
    assert found.texts["title"][0] == "AutoIF data report"
    assert {"main", "header", "nav", "footer"} <= {tag for tag, _, _ in found.elements}


def test_every_picture_has_words_and_every_table_headers_and_a_caption(data):
    found = Page(render_page(data))
    pictures = found.attributes("svg")
    assert len(pictures) > 20
    assert all(a["role"] == "img" for a in pictures)
    assert [parent for tag, _, parent in found.elements if tag == "title"].count("svg") == len(
        pictures
    )
    assert [a["class"] for a in pictures].count("chart") == 3
    assert len(found.attributes("desc")) == 3
    assert len(found.attributes("table")) == len(found.attributes("caption")) == 10
    scopes = {a.get("scope") for a in found.attributes("th")}
    assert scopes == {"col", "row", "rowgroup"}


def test_a_chart_has_its_numbers_in_a_table_beside(data):
    rates = pl.DataFrame(
        {
            "bin": [0, 3, 11, 11, None],
            "status": ["rejected", "rejected", "accepted", "rejected", "rejected"],
            "rows": [12345, 7, 400, 1, 9],
        }
    )
    html = render_page(replace(data, pass_rates=rates))
    figure = html.split("<figure>")[2].split("</figure>")[0]
    cells = re.findall(
        r'scope="row">(.*?)</th><td class="cell">(.*?)</td><td.*?>(.*?)</td>', figure
    )
    assert len(cells) == 12
    assert cells[0] == ("0 %", "0", "12,345")
    assert cells[3] == ("above 20 to 30 %", "0", "7")
    assert cells[11] == ("100 %", "400", "1")
    assert "9 responses have none" in figure
    assert figure.count('<rect class="kept"') == 1
    assert figure.count('<rect class="dropped"') == 3
    assert "12,753 responses, 400 of them kept. The most are in the bin 0 %: 12,345." in figure


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(theme):
    themes = [dict(re.findall(r"--(\w+): (#\w{6});", part)) for part in CSS.split("@media")[:2]]
    colours = themes[theme]
    assert set(colours) == set(themes[0])
    for behind in ("page", "card"):
        for text in ("text", "muted", "link"):
            assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
        for shape in ("kept", "dropped"):
            assert contrast(colours[shape], colours[behind]) >= 3, (shape, behind)


def with_text(data, text):
    gallery = pl.DataFrame(
        {
            "instruction": [text],
            "category": [text],
            "source": [text],
            "source_length": [len(text)],
            "accuracy": [1.0],
            "cases": [3],
            "back_translation": [text],
            "nli_label": ["neutral"],
        }
    )
    return replace(data, gallery=gallery)


@settings(deadline=None, max_examples=30)
@given(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), min_size=1, max_size=100
    )
)
def test_text_in_any_script_comes_through(data, text):
    found = Page(render_page(with_text(data, text)))
    assert text in found.texts["code"]
    assert found.texts["div"].count(text) == 2
    assert text in found.texts["bdi"]


def test_very_long_lines_are_folded_and_what_is_left_out_is_counted(tmp_path):
    warehouse = empty(tmp_path)
    long = "x" * 10_000
    write(warehouse, "seed_queries", rows("seed_queries", query=long))
    write(warehouse, "augmented_instructions", rows("augmented_instructions", instruction=long))
    found = Page(render_page(report_data(warehouse)))
    assert max(map(len, found.texts["div"])) == 3_000 - 400
    assert "Show 2,600 more characters" in found.text
    assert "7,000 more characters are not on this page." in found.text


def test_thousands_of_rows_make_no_larger_page(tmp_path):
    few, many = (
        render_page(report_data(filled(tmp_path / str(count), count=count)))
        for count in (100, 2_000)
    )
    assert len(many) < 1.05 * len(few)


def test_money_is_shown_where_there_is_some(data):
    priced = render_page(data)
    assert "in the currency of the prices" in priced
    free = replace(data, totals=data.totals.with_columns(cost=pl.lit(0.0)))
    assert "No prices were set" in render_page(free)
    assert ">Cost</th>" in priced
    assert ">Cost</th>" not in render_page(free)
