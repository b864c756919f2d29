"""Verifiers as reward functions for RL trainers: one core, adapters, and a server.

    with Scorer("data/exports/reward") as scorer:
        for reward in scorer.score([{"instruction_ids": ["…"], "response": "…"}]):
            print(reward["reward"], reward["components"])

Neither Dagster nor the database is needed, only the exported `verifiers.jsonl`. To follow a reward
read `scorer.py` (what a trainer calls), `engine.py` (how many calls become few runs of the
sandbox), `decisions.py` (what outcomes mean) and `answers.py` (what of a completion is judged).
"""

from autoif_assets.rewards.answers import SPECIALS, answer_of
from autoif_assets.rewards.bank import Bank
from autoif_assets.rewards.decisions import MODES, ON_NO_VERDICT, NoVerdict, Reward
from autoif_assets.rewards.errors import RewardDataError, ServeError
from autoif_assets.rewards.scorer import Scorer

__all__ = [
    "MODES",
    "ON_NO_VERDICT",
    "SPECIALS",
    "Bank",
    "NoVerdict",
    "Reward",
    "RewardDataError",
    "Scorer",
    "ServeError",
    "answer_of",
]
