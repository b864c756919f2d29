"""What runs say on a terminal."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.log_manager import LOG_RECORD_METADATA_ATTR
from dagster_shared.error import SerializableErrorInfo

from autoif_assets.automation.runs import first_words
from autoif_assets.display import displayed
from autoif_assets.resources.telling import Remark, Step, tell


def _console(context: dg.InitLoggerContext) -> logging.Logger:
    made: logging.Logger = dg.colored_console_logger.logger_fn(context)
    stacks, brief = (bool(context.logger_config[name]) for name in ("stacks", "brief"))
    for handler in made.handlers:
        handler.addFilter(_says_something)
        formatter = handler.formatter or logging.Formatter()
        if brief:
            formatter = logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
        handler.setFormatter(_Displayed(formatter, stacks, brief))
        handler.setLevel(made.level)
    # Steps begin and end below the level that is shown.
    made.addHandler(_Telling(stacks))
    made.setLevel(logging.DEBUG)
    return made


class _Telling(logging.Handler):
    """Tells who listens in this process which step begins and ends, and what warnings say."""

    def __init__(self, stacks: bool) -> None:
        super().__init__()
        self.addFilter(_says_something)
        self.setFormatter(_Displayed(logging.Formatter(), stacks, brief=True))

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            tell(Remark(self.format(record)))
        event = _metadata(record).get("dagster_event")
        if event is not None and event.step_key is not None:
            for news in step_news(event, record.created):
                tell(news)


def step_news(event: dg.DagsterEvent, at: float) -> Iterator[Step]:
    """Yield what an event of a step, of some time, tells who listens, if anything."""
    if event.event_type in _STEPS:
        yield Step(str(event.step_key), _STEPS[event.event_type], at=at)
    elif event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
        made = event.step_materialization_data.materialization.metadata
        rows = getattr(made.get("dagster/row_count"), "value", None)
        # Exports and the report make files.
        if isinstance(rows, int):
            yield Step(str(event.step_key), "made", rows, at)


_STEPS = {
    dg.DagsterEventType.STEP_START: "begun",
    dg.DagsterEventType.STEP_SUCCESS: "done",
    dg.DagsterEventType.STEP_FAILURE: "failed",
}


CONSOLE = dg.LoggerDefinition(
    _console,
    {
        "log_level": dg.Field(str, default_value="INFO", description="Least that is shown."),
        "name": dg.Field(str, default_value="dagster", description="Name of the logger."),
        "stacks": dg.Field(
            bool,
            default_value=False,
            description="Whether it is shown where in the code an asset stopped that said why. "
            "The run's own log has it in any case.",
        ),
        "brief": dg.Field(
            bool,
            default_value=False,
            description="Whether lines begin with the time and the asset alone.",
        ),
    },
    "Dagster's, without what directs a terminal or only says what was not begun.",
)


def _says_something(record: logging.LogRecord) -> bool:
    """Whether a record is none of the many lines on steps that wait for one that failed.

    The run's own log keeps them.
    """
    words = str(_metadata(record).get("orig_message", ""))
    return not (words.startswith("Dependencies for step ") and words.endswith(" Not executing."))


def _metadata(record: logging.LogRecord) -> Mapping[str, Any]:
    return getattr(record, LOG_RECORD_METADATA_ATTR, None) or {}


class _Displayed(logging.Formatter):
    """Formats as another does, after what servers and models wrote is made harmless."""

    def __init__(self, formatter: logging.Formatter, stacks: bool, brief: bool) -> None:
        super().__init__()
        self._formatter = formatter
        self._stacks = stacks
        self._brief = brief

    def format(self, record: logging.LogRecord) -> str:
        # A copy: other handlers store the record as it is.
        shown = logging.makeLogRecord(record.__dict__)
        text = record.getMessage() if self._stacks else _without_stack(record)
        if self._brief:
            text = _brief(record, text)
        shown.msg, shown.args = displayed(text), None
        return self._formatter.format(shown)


def _brief(record: logging.LogRecord, text: str) -> str:
    """Return what a record says without what all lines of a run begin with."""
    metadata = _metadata(record)
    words = str(metadata.get("orig_message") or "")
    start = text.find(words) if words else -1
    text = text[start:] if start >= 0 else text
    step = metadata.get("step_key")
    level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
    # Of what failed the name is in the words.
    return f"{level}{step}: {text}" if step and step not in text else f"{level}{text}"


def _without_stack(record: logging.LogRecord) -> str:
    """Return what a record says; of a failure that told its reason, no more than that."""
    text, event = record.getMessage(), _metadata(record).get("dagster_event")
    data = getattr(event, "event_specific_data", None)
    error = getattr(data, "error", None)
    if event is None or not isinstance(error, SerializableErrorInfo) or not _told(error):
        return text
    told = text.removesuffix(f"\n\n{getattr(data, 'error_display_string', error.to_string())}")
    # That of a run whose steps failed is the one of its step, a few lines above.
    said_above = not event.is_step_failure and "Steps failed: [" in told
    return told if said_above else f"{told} {first_words(error)}"


def _told(error: SerializableErrorInfo) -> bool:
    """Whether an error is a failure that an asset means, which says why, or is raised from one."""
    return error.cls_name == "Failure" or (error.cause is not None and _told(error.cause))
