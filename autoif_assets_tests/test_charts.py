import base64
from xml.etree import ElementTree

import hypothesis.strategies as st
from hypothesis import given

from autoif_assets.charts import (
    Bar,
    bar,
    funnel_chart,
    grid,
    grid_chart,
    histogram,
    histogram_chart,
    in_markdown,
    policies_chart,
    throughput_chart,
)

SVG = "{http://www.w3.org/2000/svg}"


def drawn(chart, tag):
    root = ElementTree.fromstring(chart)
    assert root.get("width") == "600"
    _, _, wide, high = map(float, root.get("viewBox").split())
    assert abs(float(root.get("height")) - 600 * high / wide) <= 2
    return list(root.iter(f"{SVG}{tag}"))


def texts(chart):
    return [one.text for one in drawn(chart, "text")]


def test_the_throughput_is_a_line_of_calls_and_one_of_tokens():
    points = [(0.0, 0, 0), (10.0, 20, 5_000), (20.0, 60, 25_000)]
    chart = throughput_chart(points)
    calls, tokens = (one.get("points").split() for one in drawn(chart, "polyline"))
    # Two steps of two points each; the second is the highest of both.
    assert len(calls) == len(tokens) == 4
    assert calls[2].endswith(",14.0") and tokens[2].endswith(",14.0")
    assert {"calls/s (left)", "tokens/s (right)", "4", "2.0k", "0 s", "20 s"} <= set(texts(chart))
    assert throughput_chart(points[:1]) == throughput_chart([(1.0, 2, 3)] * 2) == ""


def test_a_histogram_shows_what_was_rejected_on_top_of_what_was_accepted():
    bars = [Bar(str(place), place * 1000, 40_000) for place in range(11)]
    chart = histogram_chart(bars, "score")
    assert {"score", "accepted", "rejected", "50k"} <= set(texts(chart))
    # One of no kept rows, and a square for the name of each colour.
    assert len(drawn(chart, "rect")) == 2 * 11 - 1 + 2
    assert "rejected" not in texts(histogram_chart([Bar("0", 1, 0)], "score"))
    assert histogram_chart([Bar("0", 0, 0)], "score") == ""


def test_a_grid_has_a_bar_for_each_count_and_a_dash_for_none():
    counts = {("<a>", "x"): 40, ("<a>", "y"): 20, ("b", "y"): 1200}
    chart = grid_chart(["<a>", "b"], ["x", "y"], counts, "of what")
    assert {"<a>", "b", "x", "y", "40", "20", "1.2k", "–", "of what"} <= set(texts(chart))
    widths = [float(one.get("width")) for one in drawn(chart, "rect")[1:]]
    assert widths[0] > widths[1] and max(widths) == widths[2] < 130
    page = grid("g", "A <title>", "words", ["<a>"], ["x"], counts)
    assert "A &lt;title&gt;" in page and "&lt;a&gt;" in page
    assert grid_chart(["a"], ["x"], {}, "") == ""


def test_a_funnel_has_a_line_a_stage():
    stages = [Bar("a stage of a long name here", 10**power, power) for power in range(6)]
    chart = funnel_chart(stages)
    assert texts(chart).count("a stage of a long name here") == 6
    lengths = [float(one.get("width")) for one in drawn(chart, "rect")[3::2]]
    assert lengths == sorted(lengths)
    assert funnel_chart([]) == funnel_chart([Bar("nothing", 0, 0)]) == ""


def test_policies_have_their_intervals_and_gaps_where_nothing_is_known():
    known = {
        "pass_at_1": 0.5,
        "pass_at_1_low": 0.25,
        "pass_at_1_high": 0.75,
        "k": 4,
        "pass_at_k": 1.0,
        "pass_at_k_low": 1.0,
        "pass_at_k_high": 1.0,
    }
    unknown = dict.fromkeys(known)
    cards = [
        {"policy": "first", **known},
        {"policy": "none", **unknown},
        {"policy": "one & <two>", **known, "pass_at_k": None},
    ]
    chart = policies_chart(cards)
    assert {"first", "one & <two>", "pass@1", "pass@4", "0", "0.5", "1"} <= set(texts(chart))
    assert "none" not in texts(chart)
    assert len(drawn(chart, "circle")) == 3
    assert policies_chart(cards[1:2]) == ""


@given(
    st.lists(
        st.builds(
            Bar,
            st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=9),
            *[st.integers(0, 10**12)] * 2,
        ),
        min_size=1,
    )
)
def test_whatever_the_numbers_and_the_names_are_a_chart_can_be_read(bars):
    for chart in (histogram_chart(bars, "x"), funnel_chart(bars)):
        if chart:
            assert {one.label for one in bars} <= {text or "" for text in texts(chart)}
            assert all(float(one.get("width")) >= 0 for one in drawn(chart, "rect"))
    ElementTree.fromstring(histogram("name", "t", "d", bars))
    ElementTree.fromstring(bar(bars[0].kept, bars[0].kept + bars[0].dropped, bars[0].label))


def test_a_picture_in_markdown():
    text = in_markdown("<svg/>", "yield funnel")
    assert text.startswith("![yield funnel](data:image/svg+xml;base64,")
    assert base64.b64decode(text.partition("base64,")[2].rstrip(")")) == b"<svg/>"
