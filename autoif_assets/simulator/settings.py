"""Every setting of the simulator; the command line derives its options from here."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FAULTS = ("429", "500", "503", "slow", "drop", "half", "garbled")


def _setting(default: Any, text: str, *, rate: bool = False) -> Any:
    return field(default=default, metadata={"help": text, "rate": rate})


def _rate(default: float, text: str) -> Any:
    return _setting(default, text, rate=True)


@dataclass(frozen=True)
class SimulatorSettings:
    """What the stand-in model is like and how its server behaves.

    Times are in seconds, rates are shares in [0, 1].

    Raises:
        ValueError: A value is out of range; the message names the setting.
    """

    # The server
    model: str = _setting(
        "autoif-simulator", "Name the model is served under; several are separated by commas."
    )
    api_key: str | None = field(
        default=None,
        repr=False,
        metadata={"help": "Key that requests must carry; none is asked for if unset."},
    )
    slots: int = _setting(64, "Requests served at a time; the others wait in a queue.")
    latency: float = _setting(0.0, "Seconds a request holds its slot.")
    latency_spread: float = _rate(
        0.0, "Random share by which a request's latency differs from the fixed one, up or down."
    )
    max_queue: int | None = _setting(
        None, "Waiting requests above which the server answers 503; no limit if unset."
    )
    context_length: int = _setting(32768, "Tokens of prompt and answer together.")
    kv_cache_tokens: int = _setting(
        4_000_000, "Tokens that fit the key-value cache; running requests above it are preempted."
    )
    max_n: int = _setting(128, "Completions a request may ask for; more is a 400.")
    structured_outputs: bool = _setting(
        True, "Whether response_format json_schema is accepted; otherwise it is a 400."
    )
    prompt_logprobs: bool = _setting(
        True,
        "Whether log-probabilities of given texts are told; otherwise prompt_logprobs is "
        "ignored, as most servers do.",
    )
    refuses: str = _setting(
        "", "Fields of a request that are a 422, such as seed,temperature; separated by commas."
    )
    crashes_on: str = _setting("", "Fields of a request that are a 500; separated by commas.")
    blocks: str = _setting(
        "", "A text: what is asked of a prompt that holds it gets an answer without completions."
    )
    metrics: bool = _setting(True, "Whether /metrics exists.")
    reasoning: str = _setting(
        "none",
        "Where reasoning goes: none, field (reasoning_content) or tags (<think> in the text).",
    )

    thinking_tokens: int = _setting(
        0,
        "Tokens that reasoning takes, from those that a completion may have. Without a place for "
        "reasoning they are only counted, as on servers that hide it.",
    )

    # The model
    prompts: str = _setting(
        "", "Folder of templates that it knows beside the packaged ones (AUTOIF_PROMPTS)."
    )
    seed: int = _setting(0, "Seed of the model: another seed is another model.")
    misread_rate: float = _rate(
        0.07, "Instructions whose verifiers and cases consistently test something close by."
    )
    wrong_verifier_rate: float = _rate(
        0.10, "Verifiers that are inverted, constant, subtly wrong or test something else."
    )
    defect_rate: float = _rate(0.06, "Verifiers that cannot give a verdict.")
    wrong_case_rate: float = _rate(0.12, "Test cases with the opposite of the right output.")
    unfaithful_rate: float = _rate(0.003, "Back-translations that say something close by.")
    vague_rate: float = _rate(0.02, "Back-translations that say nothing checkable.")
    nli_error_rate: float = _rate(0.005, "Wrong labels of pairs of instructions.")
    violation_rate: float = _rate(0.30, "Responses that break the instruction.")
    off_topic_rate: float = _rate(0.07, "Responses about something else than the query.")
    garbage_rate: float = _rate(0.02, "Responses that are not readable.")
    score_error_rate: float = _rate(0.03, "Quality scores of a random height.")
    uncheckable_rate: float = _rate(0.08, "Lines of self-instruct that no short program can check.")
    copy_rate: float = _rate(0.08, "Lines of self-instruct that copy or reword an example.")
    malformed_rate: float = _rate(
        0.04, "Structured answers that are not quite JSON, with a schema or without."
    )
    refusal_rate: float = _rate(0.01, "Completions that refuse.")
    truncation_rate: float = _rate(0.01, "Completions cut short with finish_reason length.")

    # Faults; each kind is drawn on its own
    fault_seed: int = _setting(0, "Seed of the injected faults.")
    fault_429: float = _rate(0.0, "Requests answered with 429 and Retry-After.")
    fault_500: float = _rate(0.0, "Requests answered with 500.")
    fault_503: float = _rate(0.0, "Requests answered with 503.")
    fault_slow: float = _rate(0.0, "Requests that take slow_seconds longer.")
    fault_drop: float = _rate(0.0, "Requests whose connection is cut before the answer.")
    fault_half: float = _rate(0.0, "Requests whose connection is cut in the middle of the body.")
    fault_garbled: float = _rate(
        0.0, "Requests answered with 200 and a whole body that is not JSON."
    )
    retry_after: float = _setting(1.0, "Seconds named in the Retry-After of a 429.")
    slow_seconds: float = _setting(5.0, "Seconds a slow response takes longer.")
    fail_first: int = _setting(0, "Completion requests at the start that are answered with 503.")
    outage_after: float = _setting(
        0.0, "Seconds after the start at which the server goes dead, see outage_seconds."
    )
    outage_seconds: float = _setting(0.0, "Seconds the server cuts every connection; 0 for never.")

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.metadata.get("rate") and not 0 <= value <= 1:
                raise ValueError(f"{item.name} is a share in [0, 1], not {value}")
        if self.prompts and not Path(self.prompts).is_dir():
            raise ValueError(f"prompts is no folder: {self.prompts}")
        for name in ("slots", "max_n", "context_length", "kv_cache_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in (
            "latency", "retry_after", "slow_seconds", "fail_first", "outage_after",
            "outage_seconds", "thinking_tokens",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, it is {getattr(self, name)}")
        if not self.models:
            raise ValueError("model must name at least one model")
        if self.reasoning not in ("none", "field", "tags"):
            raise ValueError(f"reasoning is none, field or tags, not {self.reasoning!r}")

    @property
    def models(self) -> tuple[str, ...]:
        """The names the model is served under."""
        return tuple(name.strip() for name in self.model.split(",") if name.strip())

    @property
    def refusing(self) -> dict[str, int]:
        """The status of each field of a request that cannot be given."""
        fields = {422: self.refuses, 500: self.crashes_on}
        return {
            name.strip(): status
            for status, names in fields.items()
            for name in names.split(",")
            if name.strip()
        }

    @property
    def fault_rates(self) -> dict[str, float]:
        """The rate of each kind of fault, by the names in ``FAULTS``."""
        return {kind: getattr(self, f"fault_{kind}") for kind in FAULTS}
