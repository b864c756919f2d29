"""Whatever a file holds, reading it ends with rows or with a sentence."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.inputs import InputError, read_seed_queries

PIECES = st.sampled_from(
    [
        *(part.encode() for part in ('{"ask": "Why?"}', '{"ask": ', '"x', "}", "{", "[", "]", '"')),
        *(part.encode() for part in ("\n", "\r\n", "\r", ",", "\t", ", ", ":", "\\", " ", "null")),
        *(
            part.encode()
            for part in ("ask", "- a", "1. b", "é", "\ufeff", "# c", "```", '\\ud83d"')
        ),
        b'{"ask": [{"from": "human", "value": "How?"}]}',
        b'{"ask": [{"role": 3, "content": {}}, 4]}',
        b'{"ask": [{"role": "system", "content": [{"text": null}]}, {"role": "user"}]}',
        b'{"ask": [{"role": "user", "content": [3]}, 4, {"role": "user", "content": "Why so?"}]}',
        b'{"ask": NaN}',
        b"\xff",
        b"\xc3",
        b"\0",
        b"[" * 2000,
        b"9" * 5000,
    ]
)
NAMES = st.sampled_from(["q.json", "q.jsonl", "q.csv", "q.tsv", "q.txt", "q.md", "q", "q.parquet"])


@pytest.mark.slow
@given(name=NAMES, pieces=st.lists(PIECES, max_size=20), begin=st.sampled_from([b"ask\n", b"["]))
def test_any_input_is_rows_or_a_sentence(name, pieces, begin):
    content = begin + b"".join(pieces)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        for column, keep in ((None, False), ("ask", False), ("ask", True)):
            try:
                frame = read_seed_queries(str(path), column, 3, 300, keep=keep)
            except InputError as error:
                assert "\n" not in str(error).replace(content.decode(errors="replace"), "")
                continue
            assert frame["line"].is_unique().all()
            assert (frame["query"] != "").filter(frame["status"] == "accepted").all()
