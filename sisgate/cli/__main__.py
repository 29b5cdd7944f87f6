"""`python -m sisgate.cli` is the `sisgate` command."""

from sisgate.cli.main import run

if __name__ == "__main__":
    run()
