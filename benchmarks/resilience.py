"""The resilience section: an outage, a dying endpoint, and providers that answer badly."""

from benchmarks import resilience_failover, resilience_hostile, resilience_outage
from benchmarks.report import Report
from benchmarks.scale import QUICK, Scale


def run(scale: Scale) -> Report:
    """Measure everything: about six minutes, with `--quick` three."""
    report = Report("resilience")
    quick = scale == QUICK
    resilience_outage.measure(report, quick=quick)
    resilience_failover.measure(report, quick=quick)
    resilience_hostile.measure(report)
    return report
