"""A trainer that trains nothing: `plain` writes files, `pipes` speaks Dagster Pipes."""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    how, dataset, previous, output = sys.argv[1:5]
    (Path(output) / "checkpoint-2").mkdir()
    (Path(output) / "checkpoint-10").mkdir()
    if how == "fail":
        sys.exit("out of memory")
    weights = Path(output) / "checkpoint-10"
    seen = {
        "files": sorted(path.name for path in Path(dataset).iterdir()),
        "previous": previous,
        "stage": os.environ["AUTOIF_TRAIN_STAGE"],
    }
    (weights / "seen.json").write_text(json.dumps(seen))
    log = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 1.5}, {"eval_loss": 2.0, "step": 2}]
    state = {"global_step": 2, "log_history": log}
    (weights / "trainer_state.json").write_text(json.dumps(state))
    if how == "pipes":
        from dagster_pipes import open_dagster_pipes

        with open_dagster_pipes() as pipes:
            pipes.log.info(f"training on {pipes.get_extra('dataset')}")
            elsewhere = Path(output) / "elsewhere"
            elsewhere.mkdir()
            pipes.report_asset_materialization(
                metadata={"checkpoint": str(elsewhere), "reward_accuracy": 0.75}
            )


if __name__ == "__main__":
    main()
