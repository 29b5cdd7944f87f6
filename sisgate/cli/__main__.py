"""The `sisgate` command, also as `python -m sisgate.cli`."""

import sys

from sisgate.start_up import extra_of, missing_extra


def run() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from sisgate.cli.main import execute
    except ModuleNotFoundError as error:
        if (extra := extra_of(error.name)) is None:
            raise
        sys.exit(f"error: {missing_extra(extra, 'The command line').message}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(execute(sys.argv[1:]))


if __name__ == "__main__":
    run()
