"""`python -m benchmarks [section…]`: measure, print tables, write `benchmarks/results/*.json`."""

import argparse
import importlib
import time

from rich.console import Console

from benchmarks.scale import DEFAULT, FULL, QUICK

SECTIONS = {
    "limiter": "benchmarks.limiter",
    "admission": "benchmarks.admission",
    "enqueue": "benchmarks.enqueue",
    "acceptance": "benchmarks.acceptance",
    "sync": "benchmarks.sync",
    "resilience": "benchmarks.resilience",
    "outages": "benchmarks.outages",
    "rotation": "benchmarks.rotation",
    "audit": "benchmarks.audit",
    "configuration": "benchmarks.configuration",
    "price": "benchmarks.price",
    "metrics": "benchmarks.metrics",
    "search": "benchmarks.search",
    "console": "benchmarks.console",
    "middleware": "benchmarks.middleware",
    "load": "benchmarks.load",
    "web": "benchmarks.web",
    "verdict": "benchmarks.verdict",
    "startup": "benchmarks.startup",
    "way": "benchmarks.way",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("section", nargs="*", help=f"{', '.join(SECTIONS)}; all by default")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", dest="scale", const=QUICK, default=DEFAULT,
                      help="smaller sizes, a minute or two")  # fmt: skip
    size.add_argument("--full", action="store_const", dest="scale", const=FULL,
                      help="memory at 1,000,000 records too")  # fmt: skip
    chosen = parser.parse_args()
    if unknown := set(chosen.section) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    console = Console()
    for name in chosen.section or SECTIONS:
        console.rule(name)
        begun = time.perf_counter()
        # Imported one by one, so that a section needs only the libraries that it compares with.
        report = importlib.import_module(SECTIONS[name]).run(chosen.scale)
        report.publish(console)
        console.print(f"  {time.perf_counter() - begun:.0f} s", style="dim")


if __name__ == "__main__":
    main()
