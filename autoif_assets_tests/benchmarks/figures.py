"""The figures of benchmarks: printed as they come, kept as JSON, and shown by the docs.

    python -m autoif_assets_tests.benchmarks.figures

puts the tables of ``docs/measurements/NAME.json`` where a page says ``<!-- figures NAME -->``. A
benchmark writes that file when it is run with ``--record``.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
_PLACE = re.compile(r"(<!-- figures (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)

Row = dict[str, Any]


def file_of(name: str) -> Path:
    """Return where a benchmark's figures are kept."""
    return DOCS / "measurements" / f"{name}.json"


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the options of a benchmark, and whether its figures are kept."""
    parser.add_argument(
        "--record", action="store_true", help="keep the figures in docs/measurements"
    )
    return parser.parse_args()


@contextlib.contextmanager
def recording(name: str, options: argparse.Namespace) -> Iterator[Callable[[Row], None]]:
    """Yield what takes a row of figures: its keys are the table's heads, with units.

    Args:
        name: The benchmark's module.
        options: From ``parse``. To be kept, the benchmark must get to its end; the figures take
            the place of those of the same command.
    """
    rows: list[Row] = []
    before = _load()

    def add(row: Row) -> None:
        rows.append(row)
        print(", ".join(f"{head} {_cell(value)}" for head, value in row.items()), flush=True)

    print(f"{os.cpu_count()} cores, load average {before}", flush=True)
    yield add
    if not options.record:
        return
    given = [argument for argument in sys.argv[1:] if argument != "--record"]
    run = {
        "command": " ".join(["python -m", f"{__package__}.{name}", *given]),
        "date": datetime.date.today().isoformat(),
        "commit": _commit(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": [before, _load()],
        "rows": rows,
    }
    kept = json.loads(file_of(name).read_text("utf-8")) if file_of(name).exists() else []
    kept = [one for one in kept if one["command"] != run["command"]]
    file_of(name).parent.mkdir(exist_ok=True)
    file_of(name).write_text(json.dumps([*kept, run], indent=1, ensure_ascii=False) + "\n", "utf-8")


def _load() -> float:
    return round(os.getloadavg()[0], 1)


def _commit() -> str:
    asked = ["git", "-C", str(DOCS), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def tables(runs: list[dict[str, Any]]) -> str:
    """Return the runs as Markdown: what was run, on what, and its figures."""
    return "\n\n".join(f"{_caption(run)}\n\n{_table(run['rows'])}" for run in runs)


def _caption(run: dict[str, Any]) -> str:
    before, after = run["load"]
    return (
        f"`{run['command']}` ({run['date']}, commit {run['commit']}, {run['cores']} cores with a "
        f"load average of {before} before and {after} after it, Python {run['python']}):"
    )


def _table(rows: list[Row]) -> str:
    heads = list(dict.fromkeys(head for row in rows for head in row))
    lines = [[*heads], ["---"] * len(heads)]
    lines += [[_cell(row.get(head, "")) for head in heads] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def filled(page: str) -> str:
    """Return a page with the figures in their places."""

    def fill(place: re.Match[str]) -> str:
        runs = json.loads(file_of(place[2]).read_text("utf-8"))
        return f"{place[1]}\n{tables(runs)}\n\n{place[3]}"

    return _PLACE.sub(fill, page)


def main() -> None:
    """Fill the pages."""
    for path in sorted(DOCS.glob("*.md")):
        path.write_text(filled(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
