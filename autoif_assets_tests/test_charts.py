import base64
import struct

from autoif_assets.charts import (
    Bar,
    funnel_chart,
    histogram_chart,
    in_markdown,
    throughput_chart,
)


def size(png):
    assert png.startswith(b"\x89PNG")
    return struct.unpack(">II", png[16:24])


def test_the_throughput_is_a_small_picture():
    points = [(second * 5.0, second * 7 % 90 + second * 50, second * 9999) for second in range(120)]
    chart = throughput_chart(points)
    assert size(chart) == (600, 200)
    assert len(chart) < 30_000
    assert throughput_chart(points[:1]) == throughput_chart([(1.0, 2, 3)] * 2) == b""


def test_a_histogram_is_a_small_picture_and_shows_what_was_rejected():
    bars = [Bar(str(place), place * 1000, 40_000) for place in range(11)]
    chart = histogram_chart(bars, "score")
    assert size(chart) == (600, 200)
    assert len(chart) < 30_000
    kept = [bar._replace(dropped=0) for bar in bars]
    assert histogram_chart(kept, "score") not in (chart, b"")
    assert histogram_chart([Bar("0", 0, 0)], "score") == b""


def test_a_funnel_has_a_line_a_stage():
    stages = [Bar("a stage of a long name here", 10**power, power) for power in range(6)]
    chart = funnel_chart(stages)
    assert len(chart) < 30_000
    assert size(chart)[0] == 600
    assert size(chart)[1] > size(funnel_chart(stages[:2]))[1]
    assert funnel_chart([]) == funnel_chart([Bar("nothing", 0, 0)]) == b""


def test_a_picture_in_markdown():
    text = in_markdown(b"bytes", "yield funnel")
    assert text.startswith("![yield funnel](data:image/png;base64,")
    assert base64.b64decode(text.partition("base64,")[2].rstrip(")")) == b"bytes"
