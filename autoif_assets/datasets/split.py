"""Which instructions are held out for evaluation."""

from collections.abc import Iterable
from dataclasses import dataclass

from autoif_assets.datasets.formats import Split
from autoif_assets.method.ids import content_id


@dataclass(frozen=True)
class InstructionSplit:
    """Which instructions are trained on, and which are held out.

    Attributes:
        train: Ids of the instructions whose rows go to train.
        eval: Ids of those whose rows go to eval.
        eval_share: As asked for.
        seed: Seed of the split.
    """

    train: frozenset[str]
    eval: frozenset[str]
    eval_share: float
    seed: int

    def of(self, side: Split) -> frozenset[str]:
        """Return the instructions of a side."""
        return self.train if side == "train" else self.eval


def split_instructions(
    instruction_ids: Iterable[str],
    eval_share: float,
    seed: int,
    other_instruction_ids: Iterable[str] = (),
) -> InstructionSplit:
    """Split the instructions of two datasets; arguments as for ``eval_instructions``."""
    first, second = frozenset(instruction_ids), frozenset(other_instruction_ids)
    held_out = eval_instructions(first, eval_share, seed, second)
    return InstructionSplit((first | second) - held_out, held_out, eval_share, seed)


def eval_instructions(
    instruction_ids: Iterable[str],
    eval_share: float,
    seed: int,
    other_instruction_ids: Iterable[str] = (),
) -> frozenset[str]:
    """Choose the instructions whose rows go to eval; all others go to train.

    An instruction's side is decided by a hash of ``seed`` and its id, so it stays where it is
    when later batches bring new instructions. Where the hash leaves a dataset of at least two
    instructions without an eval or a train row, the instruction nearest to the threshold
    changes sides.

    Args:
        instruction_ids: Ids in the dataset; repeats are fine.
        eval_share: Expected share of instructions held out, ``0 <= eval_share < 1``; 0 holds
            out none.
        seed: Another seed gives another split.
        other_instruction_ids: Ids in a second dataset that must be split alike. The result is
            the same with the two datasets exchanged, and both have both sides.

    Returns:
        Ids of either dataset that are held out.

    Raises:
        ValueError: ``eval_share`` is out of range.
    """
    if not 0 <= eval_share < 1:
        raise ValueError(
            f"eval_share is {eval_share}, but a share from 0 up to (not including) 1 is needed: "
            "0 puts every row into train, 0.1 holds out about a tenth of the instructions."
        )
    if eval_share == 0:
        return frozenset()
    datasets = (frozenset(instruction_ids), frozenset(other_instruction_ids))
    # From 0 to 1 by content alone: no id depends on which others are there.
    position = {
        name: int(content_id("split", str(seed), name), 16) / 2**64
        for name in datasets[0] | datasets[1]
    }
    by_position = sorted(position, key=lambda name: (position[name], name))
    held_out = {name for name in by_position if position[name] < eval_share}
    train = set(by_position) - held_out
    # From either end of the order, so that the nearest to the threshold changes sides.
    _fill(held_out, train, datasets, by_position)
    _fill(train, held_out, datasets, by_position[::-1])
    return frozenset(held_out)


def _fill(
    side: set[str],
    opposite: set[str],
    datasets: tuple[frozenset[str], frozenset[str]],
    order: list[str],
) -> None:
    """Move the first of ``order`` into ``side`` for each dataset that has nothing there.

    The choice never empties the opposite side of either dataset: an instruction of both serves
    both, and one that only a single dataset needs is taken from outside the other if possible.
    """
    first, second = datasets
    lacking = [ids for ids in datasets if len(ids) >= 2 and not ids & side]
    if len(lacking) == 2:
        choices = [first & second] if first & second else [first, second]
    elif lacking:
        other = second if lacking[0] is first else first
        choices = [lacking[0] - other or lacking[0]]
    else:
        choices = []
    for choice in choices:
        moved = next(name for name in order if name in choice)
        side.add(moved)
        opposite.remove(moved)
