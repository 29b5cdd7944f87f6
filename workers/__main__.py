"""`python -P …/workers/__main__.py worker -Q powerschool`: `celery -A workers` with this package.

For `sisgate up` and `sisgate celery`, which may run next to another package named `workers`.
Nothing of sisgate is imported before Celery has patched the interpreter for `-P gevent`.
"""

import sys
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Run the `celery` command for this package, whatever the folder and PYTHONPATH hold."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    # `sisgate celery --help` shows Celery's own name.
    sys.argv = ["celery", "-A", "workers", *sys.argv[1:]]
    from celery import maybe_patch_concurrency

    maybe_patch_concurrency()
    # Loaded before Celery prepends the current folder to the path, so that it is ours.
    import_module("workers")
    from celery.bin.celery import main as celery

    celery()


if __name__ == "__main__":
    main()
