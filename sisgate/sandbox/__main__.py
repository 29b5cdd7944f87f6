"""`python -m sisgate.sandbox`: serve simulated districts until told to stop."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sisgate.sandbox.server import serve
from sisgate.sandbox.spec import parse_spec


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sisgate.sandbox", description=__doc__)
    parser.add_argument("--districts", help="kind:students or name=kind:students, with commas")
    parser.add_argument("--ports", help="one port for each district, with commas; default: free")
    parser.add_argument("--host", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--quota", help="such as 1000/h, for every district, or none")
    parser.add_argument("--seed", type=int, help="other data; district n gets seed + n")
    parser.add_argument("--spec-file", type=Path, help="JSON of a whole SandboxSpec")
    parser.add_argument("--ready-file", type=Path, help="gets the addresses when all is up")
    parser.add_argument("--exit-with-parent", type=int, metavar="PID", nargs="?", const=0,
                        help="end when the parent process does")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        spec = parse_spec(
            options.districts, options.quota, options.ports, options.seed,
            host=options.host, file=options.spec_file,
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, OSError) as error:
        parser.error(str(error))
    parent = options.exit_with_parent
    asyncio.run(serve(spec, options.ready_file, os.getppid() if parent == 0 else parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
