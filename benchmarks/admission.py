"""The admission section: the limit, the urgent, the cost and its growth, with real workers."""

from benchmarks import (
    admission_control,
    admission_cost,
    admission_forecast,
    admission_limit,
    admission_urgent,
    limiter,
)
from benchmarks.report import Report
from benchmarks.scale import QUICK, Scale


def run(scale: Scale) -> Report:
    """Measure everything in 15 minutes; with `--quick` in 3, less sharp and in part.

    Forecasts and growth need long waits and large backlogs, so they are left out then.
    """
    report = Report("admission")
    quick = scale == QUICK
    admission_limit.measure(report, quick=quick)
    admission_urgent.measure(report, quick=quick)
    admission_control.measure(report, quick=quick)
    admission_cost.measure_overhead(report, quick=quick)
    limiter.measure(report, scale)
    if quick:
        report.notes.append("--quick leaves out forecasts and growth.")
    else:
        admission_forecast.measure(report)
        admission_cost.measure_growth(report)
    return report
