"""Every setting of the simulator; the command line derives its options from here."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

# What samples may have in common that share a mistake.
MISTAKES = ("constant", "near_constant", "literal_keyed", "mutant", "near")
FAULTS = ("429", "500", "503", "slow", "drop", "half", "garbled")


def _setting(default: Any, text: str, source: str = "", *, rate: bool = False) -> Any:
    """Return a field; ``source`` says where the default is from, for docs/simulator.md."""
    return field(default=default, metadata={"help": text, "source": source, "rate": rate})


def _rate(default: float, text: str, source: str = "") -> Any:
    return _setting(default, text, source, rate=True)


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
    # Defaults lie between what two models did, see docs/simulator.md: the small one is
    # Qwen2.5-Coder-1.5B on 20 packaged seeds, the large one wrote the AutoIF authors' data.
    misread_rate: float = _rate(
        0.10,
        "Instructions whose verifiers and cases consistently test something close by.",
        "Small: most samples wrong alike at 4 of 20 instructions.",
    )
    wrong_verifier_rate: float = _rate(
        0.12,
        "Verifiers that are inverted, constant, subtly wrong or test something else.",
        "Small: 61 of the 93 that give verdicts are wrong on some close text, 62 % of the "
        "candidates on a clear one. Large: 4 of 4 accepted ones right at the one instruction that "
        "the grammar knows.",
    )
    defect_rate: float = _rate(
        0.08,
        "Verifiers that cannot give a verdict.",
        "Small: 11 of 120 do not compile, 16 raise on some text. Large: 1 of 24 does not compile, "
        "256 of 704 verdicts on responses are NameErrors.",
    )
    correlated_flaws: int = _setting(
        2,
        "Samples of each instruction, of correlated_of, that write the same mistaken verifier.",
        "Small: 41 of 61 wrong samples, at 13 of 20 instructions, are wrong in the same way as "
        "another. Of 350 models two that err agree in 60 % of cases (Kim et al., ICML 2025).",
    )
    correlated_of: int = _setting(
        8, "Samples of which correlated_flaws share a mistake.", "The paper's K."
    )
    correlated_kind: str = _setting(
        "mixed",
        f"The mistake that is shared: {', '.join(MISTAKES)} or mixed.",
        "Small: 29 of the 61 wrong samples are constants on close texts. Large: 7 of 23 on the "
        "recorded cases.",
    )
    wrong_case_rate: float = _rate(
        0.25,
        "Test cases with the opposite of the right output.",
        "Small: 127 of 327. Large: most functions disagree with 32 of 72.",
    )
    one_sided_cases_rate: float = _rate(
        0.15,
        "Instructions whose cases all carry one label, or have inputs of one shape.",
        "Small: all inputs lie on one side at 5 of 20 instructions.",
    )
    repair_rate: float = _rate(
        0.45,
        "Corrected verifiers that are right.",
        "Wrong answers, told as a failed assertion, are repaired in 45 % of cases by seven models "
        "from 8B on (arXiv 2604.10508).",
    )
    auditor_error_rate: float = _rate(
        0.15,
        "Wrong answers of the auditor; half of them are given whenever it is asked.",
        "Small: 9 of 62 fits of answers to queries misjudged by P(yes). Llama-3-8B 28 %, Qwen2-72B "
        "15 % of yes or no on MMLU answers (potsawee/mmlu-llm-judges).",
    )
    auditor_explaining_error_rate: float = _rate(
        0.30,
        "Wrong answers of the auditor when its prompt asks for reasons first.",
        "Reasons asked for make more misjudgements, by up to 90 % of right code rejected (arXiv "
        "2508.12358, 2603.00539); twice the rate without.",
    )
    unfaithful_rate: float = _rate(
        0.06,
        "Back-translations that say something close by.",
        "Small: 6 of 36, read by hand.",
    )
    vague_rate: float = _rate(0.02, "Back-translations that say nothing checkable.")
    nli_error_rate: float = _rate(
        0.05,
        "Wrong labels of pairs of instructions.",
        "Small: 8 of 31 wrong as to contradiction, read by hand.",
    )
    violation_rate: float = _rate(
        0.30,
        "Responses that break the instruction.",
        "Small: 50 of 80. IFEval by instruction, strict: Llama-3-8B 50 % and Llama-3-70B 15 % "
        "broken (lighteval, open-r1-eval-leaderboard).",
    )
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
        for name in ("slots", "max_n", "context_length", "kv_cache_tokens", "correlated_of"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in (
            "latency", "retry_after", "slow_seconds", "fail_first", "outage_after",
            "outage_seconds", "thinking_tokens", "correlated_flaws",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, it is {getattr(self, name)}")
        if not self.models:
            raise ValueError("model must name at least one model")
        if self.correlated_kind not in (*MISTAKES, "mixed"):
            kinds = ", ".join(MISTAKES)
            raise ValueError(f"correlated_kind is {kinds} or mixed, not {self.correlated_kind!r}")
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
