"""Accounts of bits and errors, results of plans, tables, plots and the page."""

from .accounts import Entry, Summary, ledger, summarize
from .experiment import MappingPlan, Outcome, prepare_folder, run_plans
from .figures import png
from .format_pictures import format_picture, format_table, width_picture
from .machine import cpu_features, denormals_flushed, environment, one_blas_thread, versions
from .number_lines import grid, number_line, staircase
from .page import html_page
from .plots import layers, pareto
from .results import PlanResult, Report, measure
from .tables import number, text_table
from .weights import real_weights, weights_sqnr_db

__all__ = [
    "Entry",
    "MappingPlan",
    "Outcome",
    "PlanResult",
    "Report",
    "Summary",
    "cpu_features",
    "denormals_flushed",
    "environment",
    "format_picture",
    "format_table",
    "grid",
    "html_page",
    "layers",
    "ledger",
    "measure",
    "number",
    "number_line",
    "one_blas_thread",
    "pareto",
    "png",
    "prepare_folder",
    "real_weights",
    "run_plans",
    "staircase",
    "summarize",
    "text_table",
    "versions",
    "weights_sqnr_db",
    "width_picture",
]
