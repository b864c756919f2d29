"""The report: what a data folder holds and how it came about, as one HTML page."""

from autoif_assets.reports.data import ReportData, Stage, gather, rows_by_dataset
from autoif_assets.reports.page import render_page, report_url, write_page

__all__ = [
    "ReportData",
    "Stage",
    "gather",
    "render_page",
    "report_url",
    "rows_by_dataset",
    "write_page",
]
