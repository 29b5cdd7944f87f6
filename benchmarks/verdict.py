"""How often a verdict names who is at fault: troubles injected by seed into a fleet under load."""

import logging
import random
import tempfile
from collections import Counter
from pathlib import Path

import structlog

from benchmarks.report import Report, tell
from benchmarks.scale import Scale
from testbed.ledgers import Ledgers
from testbed.postgres import PostgresServer
from testbed.redis import RedisServer
from testbed.troubles import injection
from testbed.troubles.trouble import KINDS

SEED = 14


def run(scale: Scale) -> Report:
    """Inject the troubles, one after the other."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    count = scale.troubles
    results = _results(count)
    report = Report("verdict")
    right = [each for each in results if each.is_right]
    wrong = [each for each in results if each.wrong]
    first = sum(1 for each in right if len(each.verdicts) == 1)
    report.add_table(
        f"{count} troubles of {len(KINDS)} kinds, seed {SEED}",
        ["", "troubles", "share"],
        [
            ["named right within two evaluations", str(len(right)), f"{len(right) / count:.1%}"],
            ["named right at the first", str(first), f"{first / count:.1%}"],
            ["a wrong party named with confidence", str(len(wrong)), f"{len(wrong) / count:.1%}"],
        ],
    )
    kinds, rights = Counter(e.kind for e in results), Counter(e.kind for e in right)
    rows = [[kind, str(number), str(rights[kind])] for kind, number in sorted(kinds.items())]
    report.add_table("By kind", ["kind", "troubles", "named right"], rows)
    report.notes += [each.told for each in results if not each.is_right]
    report.notes += [f"{each.kind} {each.seed}: named {each.wrong}" for each in wrong]
    report.figures = {
        "scenarios": count,
        "right": len(right),
        "right_at_first": first,
        "wrong_with_confidence": len(wrong),
    }
    return report


def _results(count: int) -> list[injection.Result]:
    """Draw kinds and seeds, each kind about equally often."""
    draw, kinds = random.Random(SEED), list(KINDS)
    order = [kinds[number % len(kinds)] for number in range(count)]
    draw.shuffle(order)
    server, postgres = RedisServer(), PostgresServer()
    results = []
    try:
        with tempfile.TemporaryDirectory(prefix="sisgate-verdict-") as root:
            ledgers = Ledgers(Path(root))
            for number, kind in enumerate(order, start=1):
                server.wipe()
                folder = Path(root) / str(number)
                folder.mkdir()
                url = (
                    ledgers.postgres(postgres)
                    if KINDS[kind].database == "postgresql"
                    else ledgers.sqlite(folder / "ledger.sqlite3")
                )
                seed = draw.randrange(2**32)
                results.append(injection.run(kind, seed, folder, server.url, url))
                if number % 20 == 0:
                    tell(f"{number} of {count} troubles")
    finally:
        server.stop()
        postgres.stop()
    return results
