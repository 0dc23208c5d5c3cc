"""The `fireside` command: starts the house, and speaks to one that runs, here or elsewhere, over its public API."""

import sys

from fireside.cli.app import build


def main() -> None:
    """Run the command line."""
    sys.exit(build()())
