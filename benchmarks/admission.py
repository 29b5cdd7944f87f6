"""The admission section: the limit, the urgent, the cost and its growth, with real workers."""

from __future__ import annotations

from benchmarks import admission_cost, admission_limit, admission_urgent
from benchmarks.report import Report
from benchmarks.scale import QUICK, Scale


def run(scale: Scale) -> Report:
    """Measure everything: about six minutes, with `--quick` about half of that and less sharp."""
    report = Report("admission")
    quick = scale == QUICK
    admission_limit.measure(report, quick=quick)
    admission_urgent.measure(report, quick=quick)
    admission_cost.measure_overhead(report, quick=quick)
    admission_cost.measure_growth(report, quick=quick)
    return report
