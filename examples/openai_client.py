"""Use Fireside with the official `openai` package: the model `fireside` answers from the documents, with citations.

    pip install openai
    python examples/openai_client.py "When does the travel desk close?"

FIRESIDE_SERVER is the address (http://127.0.0.1:8080 otherwise), FIRESIDE_KEY an API key, which
`fireside keys create example` makes.
"""

import os
import sys

from openai import OpenAI


def main() -> None:
    """Ask what stands on the command line."""
    server = os.environ.get("FIRESIDE_SERVER", "http://127.0.0.1:8080")
    with OpenAI(base_url=f"{server}/v1", api_key=os.environ["FIRESIDE_KEY"]) as client:
        stream = client.chat.completions.create(
            model="fireside", messages=[{"role": "user", "content": sys.argv[1]}], stream=True
        )
        cited: list[str] = []
        for chunk in stream:
            for choice in chunk.choices:
                print(choice.delta.content or "", end="", flush=True)
                annotations = (choice.delta.model_extra or {}).get("annotations") or []
                cited += [annotation["url_citation"]["title"] for annotation in annotations]
    print("\n\nsources:", ", ".join(dict.fromkeys(cited)))


if __name__ == "__main__":
    main()
