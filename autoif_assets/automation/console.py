"""What runs say on a terminal."""

import logging

import dagster as dg
from dagster._core.log_manager import LOG_RECORD_METADATA_ATTR

from autoif_assets.display import displayed


def _console(context: dg.InitLoggerContext) -> logging.Logger:
    made: logging.Logger = dg.colored_console_logger.logger_fn(context)
    for handler in made.handlers:
        handler.addFilter(_says_something)
        handler.setFormatter(_Displayed(handler.formatter or logging.Formatter()))
    return made


CONSOLE = dg.LoggerDefinition(
    _console,
    dg.colored_console_logger.config_schema,
    "Dagster's, without what directs a terminal or only says what was not begun.",
)


def _says_something(record: logging.LogRecord) -> bool:
    """Whether a record is none of the many lines on steps that wait for one that failed.

    The run's own log keeps them.
    """
    words = str((getattr(record, LOG_RECORD_METADATA_ATTR, None) or {}).get("orig_message", ""))
    return not (words.startswith("Dependencies for step ") and words.endswith(" Not executing."))


class _Displayed(logging.Formatter):
    """Formats as another does, after what servers and models wrote is made harmless."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        # A copy: other handlers store the record as it is.
        shown = logging.makeLogRecord(record.__dict__)
        shown.msg, shown.args = displayed(record.getMessage()), None
        return self._formatter.format(shown)
