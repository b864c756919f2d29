"""The report: what a data folder holds and how it came about, as one HTML page."""

from autoif_assets.reports.coverage import BANDS, MAX_KINDS, coverage_chart, covered_kinds
from autoif_assets.reports.data import ReportData, Stage, gather, rows_by_dataset
from autoif_assets.reports.page import render_page, report_url, write_page

__all__ = [
    "BANDS",
    "MAX_KINDS",
    "ReportData",
    "Stage",
    "coverage_chart",
    "covered_kinds",
    "gather",
    "render_page",
    "report_url",
    "rows_by_dataset",
    "write_page",
]
