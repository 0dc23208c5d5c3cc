"""`python -m benchmarks [name ...]`: run all measurements, or those named."""

import argparse
import importlib
import sys

NAMES = {
    "start": "start to ready, idle memory, installed size",
    "local_call": "a local action call with the whole chain of middleware",
    "guard": "authentication, limits and headers of one request",
    "gateway": "overhead of the gateway before a mock upstream",
    "engine": "tokens/s and first token through each dialect against the engine's own port",
    "turns": "the first token of a second turn, and what of it the engine knows, against the engine's own port",
    "pipeline": "the whole way of a question with a scripted model",
    "streams": "1,000 concurrent streams, and the memory of 4,000 slow ones",
    "leaving": "from a client that hangs up to the end of its model's work",
    "embedder": "the embedder against sentence-transformers",
    "ingest": "ingest against the bare embedder",
    "mesh": "calls, events and streams between two nodes, beside Moleculer.js",
    "facts": "facts with confirms through each broker, beside its bare driver",
    "rereading": "credentials and conversations read anew, beside a hit in the cache",
    "warm": "the first questions after a start, with and without what is kept warm",
    "search": "search at 1k, 10k and 100k chunks",
}
LONG = {
    "faults": "a cluster whose parts are killed, paused and cut off under load",
    "faults_facts": "facts carried by a broker while everything is killed at random",
}
"""Measurements that take minutes: they run when they are named."""


def main() -> None:
    """Run the chosen measurements, one after the other."""
    known = NAMES | LONG
    listing = "\n".join(f"  {name:12} {what}" for name, what in known.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", epilog=listing, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="name", help="when none is given, all but " + " and ".join(LONG))
    chosen = parser.parse_args().names or list(NAMES)
    if unknown := set(chosen) - set(known):
        parser.error(f"no measurement is called {sorted(unknown)[0]!r}")
    for name in chosen:
        print(f"\n## {name}: {known[name]}", flush=True)
        sys.argv = [name]
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
