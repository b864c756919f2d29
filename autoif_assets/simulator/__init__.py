"""A deterministic stand-in for a supervision model behind a real OpenAI-compatible server.

It recognises the prompts of ``autoif_assets.method.prompts``, answers them from a grammar of
constraint families, right and wrong at set rates, and knows the truth about every answer.
"""

from autoif_assets.simulator.running import Simulator, run_simulator
from autoif_assets.simulator.settings import SimulatorSettings

__all__ = ["Simulator", "SimulatorSettings", "run_simulator"]
