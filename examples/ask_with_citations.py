"""Ask a question over plain HTTP and print the answer with its sources, word by word. Standard library only.

    python examples/ask_with_citations.py "When does the travel desk close?"

FIRESIDE_SERVER is the address (http://127.0.0.1:8080 otherwise), FIRESIDE_KEY an API key, which
`fireside keys create example` makes.
"""

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

SERVER = os.environ.get("FIRESIDE_SERVER", "http://127.0.0.1:8080")
KEY = os.environ["FIRESIDE_KEY"]


def post(path: str, body: dict[str, Any], *, accept: str) -> Any:
    """Send JSON; the reply is still to be read."""
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "accept": accept}
    request = urllib.request.Request(SERVER + path, json.dumps(body).encode(), headers)
    return urllib.request.urlopen(request)


def events(question: str) -> Iterator[dict[str, Any]]:
    """The events of the answer: steps, sources, tokens, and one `final` that holds everything."""
    with post("/api/v1/conversations", {"mode": "company"}, accept="application/json") as reply:
        conversation = json.load(reply)
    path = f"/api/v1/conversations/{conversation['id']}/messages"
    with post(path, {"content": question}, accept="application/x-ndjson") as reply:
        for line in reply:
            if line.strip():
                yield json.loads(line)


def main() -> None:
    """Ask what stands on the command line."""
    for event in events(sys.argv[1]):
        if event["type"] == "error":
            sys.exit(event["detail"])
        if event["type"] == "token":
            print(event["text"], end="", flush=True)
        if event["type"] == "final":
            print(f"\n\nconfidence {event['confidence']:.0%}")
            for source in event["sources"]:
                if f"[{source['n']}]" in event["content"]:
                    print(f"[{source['n']}] {source['path']}: {source['text'][:80]!r}")


if __name__ == "__main__":
    main()
