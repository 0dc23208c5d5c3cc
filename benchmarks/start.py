"""Start to ready, idle memory with and without the model, and what an installation weighs."""

import json
import statistics
import time
import urllib.request
from pathlib import Path

from benchmarks.serving import fireside, headers_of, memory_mb
from fireside.testing.process import FiresideProcess

STARTS = 5
OFF = {"FIRESIDE_INFERENCE_ENGINE": "off"}
MODEL_WAIT_S = 120.0


def main() -> None:
    """Measure and print."""
    starts = list[float]()
    for _ in range(STARTS):
        with fireside() as house:
            starts.append(house.started_s)
    print(f"start to ready, median of {STARTS}: {statistics.median(starts):.2f} s (goal < 5)")
    with fireside(OFF) as house:
        time.sleep(3)
        print(f"idle memory without the model: {memory_mb(house.pid):.0f} MB (goal < 400)")
    with fireside() as house:
        _wait_for_model(house)
        print(f"idle memory with the model: {memory_mb(house.pid):.0f} MB (goal < 600)")
    _print_installed_size()


def _wait_for_model(house: FiresideProcess) -> None:
    deadline = time.monotonic() + MODEL_WAIT_S
    while time.monotonic() < deadline:
        request = urllib.request.Request(house.url + "/api/v1/models", headers=headers_of(house))
        with urllib.request.urlopen(request) as reply:
            if all(model["state"] == "ready" for model in json.load(reply)["items"]):
                time.sleep(3)
                return
        time.sleep(0.2)
    raise SystemExit("the model did not become ready")


def _print_installed_size() -> None:
    import numpy  # noqa: PLC0415 - only tells where packages lie

    packages = Path(numpy.__file__).parents[1]
    total = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"installed packages here: {total / 1e6:.0f} MB (goal < 900 after 'make install' alone)")


if __name__ == "__main__":
    main()
