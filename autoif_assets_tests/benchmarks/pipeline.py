"""Memory and speed of each stage after generation, from a synthetic journal.

    python -m autoif_assets_tests.benchmarks.pipeline [--responses 10000 100000 1000000]

Eight responses of about 600 characters to a prompt, 16 prompts and ten verifiers to an instruction.
The journals hold every completion, so that no stage asks a model. Each stage is the asset itself
with its checks, run by Dagster in a process of its own; its peak memory is what that process held
at most (VmHWM: Python, Dagster, DuckDB and Polars themselves take about 250 MB of it), without the
sandbox's workers. The baseline of the last column is the copy of the same number of responses from
one Parquet file to another by Polars, about the least that a stage can do with them.
"""

import argparse
import json
import multiprocessing
import random
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from autoif_assets_tests.benchmarks.figures import parse, recording

BATCH = "b1"
MODEL = "autoif-simulator"
SAMPLES, QUERIES, VERIFIERS = 8, 16, 10
OVERRIDES = {
    "responses_per_prompt": SAMPLES,
    "queries_per_instruction": QUERIES,
    "verifiers_per_instruction": VERIFIERS,
    # What the journals hold no answers to.
    "near_misses_per_prompt": 0,
    "further_responses_per_prompt": 0,
    "score_failing": False,
}
STAGES = (
    "responses",
    "response_verdicts",
    "response_scores",
    "further_responses",
    "further_verdicts",
    "further_scores",
    "filtered_queries",
    "sft_examples",
    "kto_examples",
    "instruction_preference_pairs",
    "query_preference_pairs",
    "preference_pairs",
    "rl_prompts",
    "sft_dataset",
    "preference_dataset",
    "kto_dataset",
    "reward_dataset",
    "report",
)
BOUND_MB = 1536


class Material:
    """Synthetic instructions, verifiers, prompts and completions, all told by their numbers."""

    def __init__(self, responses: int):
        self.instructions = max(1, responses // SAMPLES // QUERIES)
        draw = random.Random(0)
        words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(2000)]
        self._text = " ".join(draw.choices(words, k=200_000))
        self._draw = draw

    def text(self, size: int) -> str:
        start = self._draw.randrange(len(self._text) - size)
        return self._text[start : start + size].strip()

    def marks(self, sample: int) -> range:
        """Five of eight responses pass every verifier, two none, and one half of them."""
        return range(0, VERIFIERS if sample < 6 else 0, 2 if sample == 5 else 1)

    def response(self, sample: int) -> str:
        return self.text(560) + " " + " ".join(f"m{mark}." for mark in self.marks(sample))

    def score(self, sample: int) -> str:
        """Of the five that pass, four are good."""
        reason, score = self.text(80), 9 if sample < 4 else 4
        return json.dumps({"reason": reason, "answers": score > 5, "score": score})

    def chunks(self, size: int = 500) -> Iterator[range]:
        for start in range(0, self.instructions, size):
            yield range(start, min(start + size, self.instructions))


def build(data: Path, responses: int) -> None:
    """Fill the tables that generation leaves behind, and the journals of both model stages."""
    from autoif_assets.endpoint import Journal
    from autoif_assets.method.ids import content_id
    from autoif_assets.method.joining import join_prompt
    from autoif_assets.warehouse import Warehouse

    material, warehouse = Material(responses), Warehouse(data)

    def write(table, rows):
        frames = (
            pl.DataFrame(
                [row for number in chunk for row in rows(number, f"{number:016x}")]
            ).with_columns(batch=pl.lit(BATCH))
            for chunk in material.chunks()
        )
        warehouse.write_frames(table, frames, {"batch": BATCH})

    accepted = {"status": "accepted", "reason": None}

    def instruction(number):
        return f"Write every mark from m0 to m{VERIFIERS - 1}, in answer number {number}."

    def verified(number, key):
        return [
            {
                "instruction_id": key,
                "instruction": instruction(number),
                "category": None,
                **dict.fromkeys(("verifiers", "cases", "entailments"), VERIFIERS),
                **dict.fromkeys(("neutrals", "contradictions"), 0),
                "base_rate": None,
                **accepted,
            }
        ]

    shares = ("accuracy", "accuracy_true", "accuracy_false", "sibling_agreement")

    def functions(key):
        return [
            {
                "verifier_id": content_id("verifier", key, str(mark)),
                "instruction_id": key,
                "source": f"def evaluate(response):\n    return 'm{mark}.' in response\n",
                "samples": 1,
                **dict.fromkeys(shares, 1.0),
                **accepted,
            }
            for mark in range(VERIFIERS)
        ]

    def verifiers(number, key):
        found = {"origin": "sampled", "parent_id": None, "cases": 3, "agreed": 3, "detail": None}
        return [row | found for row in functions(key)]

    def audits(number, key):
        counts = ("mutants", "told_apart", "fragile_probes", "answers", "answers_agreed")
        found = {**dict.fromkeys(counts, 0), "nli_label": "entailment", "origin": "sampled"}
        return [row | found for row in functions(key)]

    def cases(number, key):
        return [
            {
                "case_id": content_id("case", key, str(sample)),
                "instruction_id": key,
                "input": material.response(sample),
                "origin": "function",
                "query": None,
                "expected": sample < 5,
                "functions": VERIFIERS,
                "agreed": VERIFIERS,
                "agreement": 1.0,
                "outcomes": [
                    {
                        "verifier_id": content_id("verifier", key, str(mark)),
                        "outcome": "pass" if mark in material.marks(sample) else "fail",
                    }
                    for mark in range(VERIFIERS)
                ],
                **accepted,
            }
            for sample in range(SAMPLES)
        ]

    def prompts(number, key):
        return [
            {
                "prompt_id": content_id("prompt", key, str(q)),
                "instruction_id": key,
                "query_id": f"{q:016x}",
                "instruction": instruction(number),
                "query": f"What do the marks of row {q} mean to somebody who reads them first?",
                "context": None,
                "prompt": join_prompt(f"What do the marks of row {q} mean?", instruction(number)),
            }
            for q in range(QUERIES)
        ]

    write("verified_instructions", verified)
    write("verifiers", verifiers)
    write("verifier_audits", audits)
    write("verifier_cases", cases)
    write("augmented_queries", prompts)
    journals = data / "journals"
    templates = {role: _template(role) for role in ("response", "score")}
    with (
        Journal(journals, "responses", BATCH, "bench") as answers,
        Journal(journals, "response_scores", BATCH, "bench") as opinions,
    ):
        for chunk in material.chunks(100):
            rows = [row for number in chunk for row in prompts(number, f"{number:016x}")]
            frame = pl.DataFrame(rows, schema_overrides={"context": pl.String})
            _journal(frame, material, answers, opinions, templates)


def _journal(prompts, material, answers, opinions, templates):
    from autoif_assets.method.ids import content_id
    from autoif_assets.method.recipe import PAPER
    from autoif_assets.method.responses import response_prompts, score_prompts

    passed = []
    asked = response_prompts(prompts, PAPER).select("prompt_id", "prompt")
    for prompt_id, prompt in asked.iter_rows():
        texts = [material.response(sample) for sample in range(SAMPLES)]
        answers.append(_record(templates["response"], prompt, texts))
        passed += [
            (content_id("response", prompt_id, text), prompt_id, text, sample)
            for sample, text in enumerate(texts[:5])
        ]
    columns = ("response_id", "prompt_id", "response", "sample")
    frame = pl.DataFrame(passed, schema=columns, orient="row")
    for prompt, sample in zip(
        score_prompts(frame, prompts, PAPER)["prompt"], frame["sample"], strict=True
    ):
        opinions.append(_record(templates["score"], prompt, [material.score(sample)]))


def _template(role):
    """What the client writes of a call of this role: a line made by asking the simulator."""
    from autoif_assets.endpoint import Client, EndpointSettings, Journal, Request
    from autoif_assets.endpoint.journal_files import read_journals
    from autoif_assets.method.prompts import PROMPTS
    from autoif_assets.method.recipe import make_recipe
    from autoif_assets.simulator import Simulator

    numbers = make_recipe("paper", OVERRIDES)
    request = Request(
        prompt=PROMPTS[role].render(**dict.fromkeys(PROMPTS[role].variables, "Say yes.")),
        role=role,
        n=SAMPLES if role == "response" else 1,
        temperature=getattr(numbers, f"{role}_temperature"),
        max_tokens=getattr(numbers, f"{role}_max_tokens"),
        seed=0,
        schema=PROMPTS[role].schema,
    )
    with tempfile.TemporaryDirectory() as folder, Simulator() as simulator:
        with Journal(Path(folder), "a", "b", "r") as journal:
            settings = EndpointSettings(base_url=simulator.base_url, model=MODEL)
            Client(settings).complete([request], journal)
        (record,) = read_journals(Path(folder), "a", "b")
    return request, record


def _record(template, prompt, texts):
    from dataclasses import replace

    from autoif_assets.endpoint.calls import call_id
    from autoif_assets.method.ids import derived_seed

    request, record = template
    request = replace(request, prompt=prompt, seed=derived_seed(BATCH, "0", request.role, prompt))
    return record | {
        "call_id": call_id(MODEL, request),
        "prompt": prompt,
        "parameters": request.parameters(),
        "samples": list(range(len(texts))),
        "choices": [record["choices"][0] | {"text": text} for text in texts],
    }


def stage(data: Path, name: str) -> dict[str, float]:
    """Materialise one asset; no server listens where it would ask."""
    from autoif_assets.warehouse import TABLES, Warehouse
    from autoif_assets_tests.assets.pipeline import run_batch

    began = time.monotonic()
    result = run_batch(data, "http://127.0.0.1:9/v1", BATCH, overrides=OVERRIDES, only=name)
    seconds = time.monotonic() - began
    if not result.success:
        failures = [event for event in result.all_events if event.is_failure]
        raise SystemExit(f"{name} failed: {failures[0].event_specific_data}")
    peak = peak_mb()
    rows = 0
    if name in TABLES:
        count = f"SELECT count(*) AS rows FROM autoif.{name}"
        rows = Warehouse(data).query(count)["rows"][0]
    return {"rows": rows, "seconds": seconds, "peak_mb": peak}


def copy(data: Path, name: str) -> dict[str, float]:
    """The baseline: read all responses and write them."""
    from autoif_assets.warehouse import Warehouse

    source, target = data / "baseline.parquet", data / "baseline-copy.parquet"
    with source.open("wb") as file:
        Warehouse(data).read("responses", columns=["response_id", "response"]).write_parquet(file)
    began = time.monotonic()
    pl.read_parquet(source).write_parquet(target)
    seconds = time.monotonic() - began
    rows = pl.scan_parquet(target).select(pl.len()).collect().item()
    source.unlink()
    target.unlink()
    return {"rows": rows, "seconds": seconds, "peak_mb": 0}


def peak_mb() -> float:
    """The most this process has held; ru_maxrss would count the parent's memory before exec."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def _child(function, arguments, pipe):
    pipe.send(function(*arguments))


def apart(function, *arguments):
    """Call a function in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_child, args=(function, arguments, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        raise SystemExit(f"{function.__name__} {arguments} ended with {process.exitcode}") from None
    finally:
        process.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--responses", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=STAGES)
    parser.add_argument("--data", type=Path, help="keep the data here, and use what is there")
    options = parse(parser)
    with recording("pipeline", options) as add:
        for responses in options.responses:
            with tempfile.TemporaryDirectory() as folder:
                data = (options.data or Path(folder)) / str(responses)
                if not data.exists():
                    apart(build, data, responses)
                copied = 0.0
                for name in options.stages:
                    found = apart(stage, data, name)
                    # The copy is of the responses, which the first stage writes.
                    copied = copied or apart(copy, data, name)["seconds"]
                    add(
                        {
                            "responses": responses,
                            "stage": name,
                            "rows": found["rows"],
                            "responses/s": round(responses / found["seconds"]),
                            "times a copy": round(found["seconds"] / copied, 1),
                            f"peak MB (at most {BOUND_MB})": round(found["peak_mb"]),
                        }
                    )


if __name__ == "__main__":
    main()
