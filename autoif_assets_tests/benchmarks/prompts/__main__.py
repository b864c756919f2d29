"""Which way of asking for verifiers and for judgements works best with one model.

    python -m autoif_assets_tests.benchmarks.prompts --model NAME [--base-url URL]

Every variant of the verifier's prompt is asked about the same packaged seeds, and its answers are
held against the reference checkers: `parses` is the share in which a function can be read,
`compiles` of those that load in the sandbox as well, `right` of those that are right on every
clear text; `cases right` is the share of the cases that have the reference checker's label, where
it has one. Every variant of the judge's prompt is asked about a real model's recorded responses,
beside the query they answer and beside another: the AUC is the chance that the first gets the
higher score, `kept` the share whose score is as high as the recipe wants it. Figures in brackets
are 95 % intervals by a bootstrap that draws instructions, or the judged responses' prompts.

Answers are kept in a journal: an interrupted benchmark goes on where it was, and one that was
finished asks for nothing.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from autoif_assets.endpoint import EndpointError, EndpointSettings
from autoif_assets.method.recipe import RECIPES, Recipe, make_recipe
from autoif_assets_tests.benchmarks.prompts import judging, verifying
from autoif_assets_tests.benchmarks.prompts.asking import Asker
from autoif_assets_tests.benchmarks.prompts.variants import JUDGES, VERIFIERS, packaged

SHARED_DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m autoif_assets_tests.benchmarks.prompts",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--base-url", default="http://127.0.0.1:8080/v1", help="of the server")
    parser.add_argument("--model", default="", help="name of the served model")
    parser.add_argument(
        "--journal", type=Path, default=Path("data/prompts"), help="folder of the journal"
    )
    parser.add_argument("--instructions", type=int, default=24, help="0: no verifiers")
    parser.add_argument("--samples", type=int, default=2, help="of each variant and instruction")
    parser.add_argument("--responses", type=int, default=20, help="judged ones; 0: none")
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="where these are recorded")
    parser.add_argument("--recipe", choices=list(RECIPES), default="audited")
    parser.add_argument("--max-tokens", type=int, help="of a verifier; the recipe's if not given")
    parser.add_argument("--concurrency", type=int, default=8, help="most requests in flight")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn and sampled")
    parser.add_argument(
        "--recorded",
        action="store_true",
        help="ask nothing: what a real batch got by the packaged prompt",
    )
    chosen = parser.parse_args(given)
    if not (chosen.model or chosen.recorded):
        parser.error("--model is missing: the name of the model that is to be asked")
    return chosen


def main(given: Sequence[str] | None = None) -> None:
    """Print a table of the verifier's variants and one of the judge's."""
    chosen = _arguments(given)
    if chosen.recorded:
        _recorded(chosen)
        return
    settings = EndpointSettings(
        base_url=chosen.base_url, model=chosen.model, max_concurrency=chosen.concurrency
    )
    numbers = {} if chosen.max_tokens is None else {"verifier_max_tokens": chosen.max_tokens}
    recipe = make_recipe(chosen.recipe, numbers)
    try:
        asker = Asker(settings, chosen.journal)
        if chosen.instructions:
            _verifiers(asker, chosen, recipe)
        if chosen.responses:
            _judges(asker, chosen, recipe)
    except EndpointError as error:
        raise SystemExit(f"{error} What was answered is kept in {chosen.journal}.") from None


def _recorded(chosen: argparse.Namespace) -> None:
    variant = packaged(VERIFIERS)
    answers = verifying.recorded_answers(chosen.data, variant)
    if answers is None:
        raise SystemExit(f"The recorded batch is not in {chosen.data}.")
    judged = verifying.judge_answers(answers)
    _print(
        f"Verifiers as recorded: {judged['instruction_id'].n_unique()} instructions, "
        f"{judged.height} answers",
        verifying.COLUMNS,
        verifying.verifier_table(judged, [variant]),
        answers.height - judged.height,
    )


def _verifiers(asker: Asker, chosen: argparse.Namespace, recipe: Recipe) -> None:
    instructions = verifying.sampled_instructions(chosen.instructions, chosen.seed, recipe)
    answers = verifying.ask_variants(
        asker, instructions, VERIFIERS, chosen.samples, recipe, chosen.seed
    )
    judged = verifying.judge_answers(answers)
    _print(
        f"Verifiers: {chosen.model}, {instructions.height} instructions, {chosen.samples} samples "
        f"of each, {asker.last_day()}",
        verifying.COLUMNS,
        verifying.verifier_table(judged, VERIFIERS),
        answers.height - judged.height,
    )


def _judges(asker: Asker, chosen: argparse.Namespace, recipe: Recipe) -> None:
    responses = judging.recorded_responses(chosen.data)
    if responses is None:
        print(f"Judges: left out, for the recorded responses are not in {chosen.data}.")
        return
    asked = judging.judgements(responses, chosen.responses, chosen.seed)
    answers = judging.ask_judges(asker, asked, JUDGES, recipe, chosen.seed)
    scores = judging.read_scores(answers, recipe)
    _print(
        f"Judges: {chosen.model}, {asked.height // 2} responses of "
        f"{asked['prompt_id'].n_unique()} prompts, each beside two queries, {asker.last_day()}",
        judging.COLUMNS,
        judging.judge_table(scores, JUDGES),
        answers.height - scores.height,
    )


def _print(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], failed: int) -> None:
    """Print a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    print(f"{title}\n", *(f"| {' | '.join(cells)} |" for cells in lines), "", sep="\n")
    if failed:
        print(f"{failed} answers failed for reasons that are the server's, and count nowhere.\n")


if __name__ == "__main__":
    main()
