"""How fast the sandbox is beside the ways people usually run verifiers.

    python -m autoif_assets_tests.benchmarks.sandbox [--units 1000] [--inputs 16 128 1024]

`--repeats 0` leaves out the sandbox's search for verifiers that contradict themselves, which no
other design makes: how much of the difference it is.

Every design runs the same verifiers on the same texts, in interleaved rounds, so that all see the
same moods of the machine; figures are medians per unit (one verifier with all its texts). Ratios
are to design (a), the authors' loop: `exec` and `evaluate` in this process with SIGALRM set and
cleared around each call. Slow designs run fewer units. CPU counts this process, the workers and
their children.
"""

import argparse
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from autoif_assets.sandbox import Sandbox, Unit
from autoif_assets_tests.benchmarks.figures import parse, recording
from autoif_assets_tests.sandbox.recorded import recorded_units

_GROUP = 8  # verifiers of an instruction
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "autoif"

OWN = [
    "def evaluate(response):\n    return 'e' not in response.lower()",
    "def evaluate(response):\n    return len(response.split()) <= 25",
    "import re\ndef evaluate(response):\n    return len(re.findall(r'[.!?]', response)) <= 3",
    "import string\ndef evaluate(response):\n"
    "    words = [w.strip(string.punctuation) for w in response.split()]\n"
    "    return all(len(w) % 2 == 0 for w in words if w)",
    "def count(word):\n    return sum(c in 'aeiou' for c in word.lower())\n"
    "def evaluate(response):\n    return all(count(w) < 4 for w in response.split())",
    "def evaluate(response):\n    lines = response.splitlines()\n"
    "    return len(lines) > 1 and all(line.startswith('- ') for line in lines if line)",
    "def evaluate(response):\n    words = response.split()\n"
    "    for one, other in zip(words, words[1:]):\n"
    "        if one[0].lower() == other[0].lower():\n            return False\n    return True",
    "import json\ndef evaluate(response):\n    try:\n        json.loads(response)\n"
    "        return True\n    except ValueError:\n        return False",
]
OWN_TEXTS = [
    " ".join(f"{word}{number}" for number in range(size))
    for word in ("Sentence with a few words.", "- item", "MORE, and more!", "quiet brown fox")
    for size in (1, 4, 9, 16, 30)
]


def material() -> tuple[list[str], list[str], str]:
    """Distinct verifiers and texts, and where they come from."""
    if not RECORDED.is_dir():
        return OWN, OWN_TEXTS, "packaged verifiers"
    units = recorded_units(RECORDED)
    sources = sorted({source for source, _ in units})
    texts = sorted({text for _, texts in units for text in texts if len(text) > 60})
    return sources, texts, f"{len(sources)} recorded verifiers, {len(texts)} recorded texts"


# --- the designs ---------------------------------------------------------------------------


class Late(Exception):
    """The alarm of the authors' loop."""


def load(source: str) -> Any:
    namespace: dict[str, Any] = {}
    try:
        exec(source, namespace)
    except Exception:
        return None
    return namespace.get("evaluate")


def authors_unit(source: str, texts: list[str]) -> list[Any]:
    def late(number: int, frame: object) -> None:
        raise Late

    evaluate = load(source)
    found = []
    for text in texts if evaluate else ():
        try:
            signal.signal(signal.SIGALRM, late)
            signal.alarm(5)
            found.append(evaluate(text))
        except Exception:
            found.append(None)
        finally:
            signal.alarm(0)
    return found


def bare_unit(source: str, texts: list[str]) -> list[Any]:
    evaluate = load(source)
    found = []
    for text in texts if evaluate else ():
        try:
            found.append(evaluate(text))
        except Exception:
            found.append(None)
    return found


def _answer(queue: Any, source: str, texts: list[str]) -> None:
    queue.put([answer is True for answer in bare_unit(source, texts)])


def multiprocessing_unit(source: str, texts: list[str]) -> None:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=_answer, args=(queue, source, texts))
    process.start()
    queue.get()
    process.join()


_SCRIPT = (
    "import json, sys\nsource, texts = json.load(sys.stdin)\nspace = {}\n"
    "def call(text):\n    try: return space['evaluate'](text) is True\n"
    "    except Exception: return None\n"
    "try: exec(source, space)\nexcept Exception: pass\n"
    "json.dump([call(text) for text in texts], sys.stdout)"
)


def subprocess_unit(source: str, texts: list[str]) -> None:
    subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps([source, texts]),
        capture_output=True,
        text=True,
    )


def process_per_call_unit(source: str, texts: list[str]) -> None:
    for text in texts:
        multiprocessing_unit(source, [text])


def each(unit: Callable[[str, list[str]], Any]) -> Callable[[list[Unit]], None]:
    def run(units: list[Unit]) -> None:
        for one in units:
            unit(one.source, list(one.inputs))

    return run


def drain(sandbox: Sandbox) -> Callable[[list[Unit]], None]:
    def run(units: list[Unit]) -> None:
        for _ in sandbox.evaluate(units):
            pass

    return run


@contextmanager
def designs(
    repeats: int,
) -> Iterator[dict[str, tuple[Callable[[list[Unit]], None], int]]]:
    """Design → (how to run units, one of how many units to run)."""
    with ExitStack() as stack:
        boxes = {
            f"sandbox {mode}, {workers} worker{'s' * (workers > 1)}": stack.enter_context(
                Sandbox(workers=workers, share=mode == "share", repeats=repeats)
            )
            for mode in ("strict", "share")
            for workers in (1, 2)
        }
        yield {
            "(a) authors' loop: exec + SIGALRM": (each(authors_unit), 1),
            "(b) bare loop, no timers": (each(bare_unit), 1),
            **{name: (drain(box), 1) for name, box in boxes.items()},
            "(c) multiprocessing process per unit": (each(multiprocessing_unit), 10),
            "(d) subprocess per unit": (each(subprocess_unit), 50),
            "(e) process per call": (each(process_per_call_unit), 1000),
        }


# --- measuring -----------------------------------------------------------------------------


def cpu_seconds() -> float:
    """CPU of this process, of its dead children, and of living workers with theirs."""
    own = os.times()
    total = own.user + own.system + own.children_user + own.children_system
    here = os.getpid()
    for pid in Path(f"/proc/{here}/task/{here}/children").read_text().split():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(
    count: int, inputs: int, rounds: int, slow: bool, repeats: int
) -> Iterator[dict[str, Any]]:
    """Yield the figures of each design: times are of a verifier with all its texts."""
    sources, texts, _ = material()
    texts = (texts * (inputs // len(texts) + 1))[:inputs]
    units = [
        Unit(str(n), sources[n % len(sources)], texts, group=str(n // _GROUP)) for n in range(count)
    ]
    walls: dict[str, list[float]] = {}
    cpus: dict[str, list[float]] = {}
    with designs(repeats) as table:
        for number in range(rounds):
            for name, (run, one_of) in table.items():
                if one_of > 1 and (not slow or number >= rounds * 3 / 5):
                    continue
                part = units[::one_of]
                began, cpu = time.perf_counter(), cpu_seconds()
                run(part)
                walls.setdefault(name, []).append((time.perf_counter() - began) / len(part))
                cpus.setdefault(name, []).append((cpu_seconds() - cpu) / len(part))
    base = walls["(a) authors' loop: exec + SIGALRM"]
    base_cpu = statistics.median(cpus["(a) authors' loop: exec + SIGALRM"])
    for name, found in walls.items():
        wall, cpu = statistics.median(found), statistics.median(cpus[name])
        # Ratio of each round to the loop of the same round: load of others cancels.
        ratio = statistics.median(a / b for a, b in zip(base, found, strict=False))
        yield {
            "verifiers × texts": f"{count} × {inputs}",
            "design": name,
            "wall µs": round(wall * 1e6),
            "CPU µs": round(cpu * 1e6),
            "speed by wall": round(ratio, 3),
            "by CPU": round(base_cpu / cpu, 3) if cpu else "",
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--units", type=int, default=1000, help="verifiers per round")
    parser.add_argument("--inputs", type=int, nargs="+", default=[16, 128, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fast", action="store_true", help="leave out designs (c), (d), (e)")
    parser.add_argument("--repeats", type=int, default=8, help="of the sandbox, see there")
    options = parse(parser)
    warnings.simplefilter("ignore")
    print(material()[2])
    with recording("sandbox", options) as add:
        for inputs in options.inputs:
            count = max(20, options.units * 128 // max(128, inputs))
            for row in measure(count, inputs, options.rounds, not options.fast, options.repeats):
                add(row)


if __name__ == "__main__":
    main()
