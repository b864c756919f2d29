"""The report: what a data folder holds and how it came about, as one HTML page."""

from autoif_assets.reports.data import ReportData, Stage, gather
from autoif_assets.reports.files import write_page
from autoif_assets.reports.page import page

__all__ = ["ReportData", "Stage", "gather", "page", "write_page"]
