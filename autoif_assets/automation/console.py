"""What runs say on a terminal."""

import logging
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.log_manager import LOG_RECORD_METADATA_ATTR
from dagster_shared.error import SerializableErrorInfo

from autoif_assets.automation.runs import first_words
from autoif_assets.display import displayed


def _console(context: dg.InitLoggerContext) -> logging.Logger:
    made: logging.Logger = dg.colored_console_logger.logger_fn(context)
    stacks = bool(context.logger_config["stacks"])
    for handler in made.handlers:
        handler.addFilter(_says_something)
        handler.setFormatter(_Displayed(handler.formatter or logging.Formatter(), stacks))
    return made


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

    def __init__(self, formatter: logging.Formatter, stacks: bool) -> None:
        super().__init__()
        self._formatter = formatter
        self._stacks = stacks

    def format(self, record: logging.LogRecord) -> str:
        # A copy: other handlers store the record as it is.
        shown = logging.makeLogRecord(record.__dict__)
        text = record.getMessage() if self._stacks else _without_stack(record)
        shown.msg, shown.args = displayed(text), None
        return self._formatter.format(shown)


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
