"""Where `autoif dev` serves the report, for links in Dagster's UI."""

import os


def report_port() -> int:
    """Return the port of this machine: ``AUTOIF_REPORT_PORT``, or 3001."""
    return int(os.environ.get("AUTOIF_REPORT_PORT") or 3001)


def report_url() -> str:
    """Return the address of the report while `autoif dev` runs."""
    return f"http://127.0.0.1:{report_port()}/report.html"
