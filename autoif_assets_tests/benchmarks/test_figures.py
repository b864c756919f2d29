"""The docs show the figures that benchmarks have kept, and no others."""

import argparse
import json
import re

import pytest

from . import figures

PAGES = sorted(figures.DOCS.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_was_measured(page):
    made = "python -m autoif_assets_tests.benchmarks.figures"
    text = page.read_text("utf-8")
    assert text == figures.filled(text), f"make it anew: {made}"


def test_all_that_was_measured_is_shown_once():
    shown = [
        name
        for page in PAGES
        for name in re.findall(r"(?m)^<!-- figures (\w+) -->$", page.read_text("utf-8"))
    ]
    kept = sorted(path.stem for path in (figures.DOCS / "measurements").glob("*.json"))
    assert sorted(shown) == kept


def run(monkeypatch, command, rows, record=True):
    """Run a benchmark that has these figures."""
    options = [*command.split(), *(["--record"] if record else [])]
    monkeypatch.setattr("sys.argv", ["x", *options])
    parser = argparse.ArgumentParser()
    parser.add_argument("--size")
    with figures.recording("tried", figures.parse(parser)) as add:
        for row in rows:
            add(row)


@pytest.fixture
def docs(tmp_path, monkeypatch):
    # The commit is asked for there.
    monkeypatch.setattr(figures, "_commit", lambda: "abc1234")
    monkeypatch.setattr(figures, "DOCS", tmp_path)
    return tmp_path


def test_a_run_takes_the_place_of_the_same_command(docs, monkeypatch, capsys):
    run(monkeypatch, "--size 1", [{"by": "a", "rows/s": 1234}, {"by": "b", "of a": 0.5}])
    assert "by a, rows/s 1,234\nby b, of a 0.5\n" in capsys.readouterr().out
    run(monkeypatch, "--size 2", [{"by": "a", "rows/s": 3}])
    run(monkeypatch, "--size 1", [{"by": "a", "rows/s": 2}, {"by": "b", "of a": 0.25}])
    runs = json.loads((docs / "measurements" / "tried.json").read_text())
    name = "python -m autoif_assets_tests.benchmarks.tried"
    assert [one["command"] for one in runs] == [f"{name} --size 2", f"{name} --size 1"]
    text = "# Page\n\n<!-- figures tried -->\nold\n<!-- end of figures -->\n\nMore.\n"
    page = figures.filled(text)
    assert "| by | rows/s | of a |\n| --- | --- | --- |\n| a | 2 |  |\n| b |  | 0.25 |\n" in page
    assert "old" not in page and page.endswith("<!-- end of figures -->\n\nMore.\n")
    assert figures.filled(page) == page


def test_nothing_is_kept_unless_asked_for_or_when_it_fails(docs, monkeypatch):
    run(monkeypatch, "", [{"by": "a"}], record=False)
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, "", ({"by": 1 / 0} for _ in range(1)))
    assert list(docs.iterdir()) == []
