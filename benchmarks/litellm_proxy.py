"""The LiteLLM proxy as a peer: one worker, a master key, no database, the same upstream.

It is measured where it is found: `pip install 'litellm[proxy]'` into a virtual environment of its own, and name its
command in `BENCH_LITELLM=/path/to/venv/bin/litellm`, or have it on the PATH.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.serving import SERVER_CORE, Target, free_port, pin, wait_for

_KEY = "sk-bench"
_CONFIG = """
model_list:
  - model_name: scripted
    litellm_params: {{model: openai/scripted, api_base: "{upstream}/v1", api_key: none}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false}}
"""


@contextmanager
def litellm_proxy(upstream: str) -> Generator[dict[str, Target]]:
    """The proxy before an upstream, as `{"litellm": target}`; nothing where it is not installed."""
    command = os.environ.get("BENCH_LITELLM") or shutil.which("litellm")
    if command is None:
        print("LiteLLM is not here: pip install 'litellm[proxy]', then BENCH_LITELLM=/path/to/venv/bin/litellm")
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="litellm-bench-") as folder:
        config, port = Path(folder) / "config.yaml", free_port()
        config.write_text(_CONFIG.format(upstream=upstream, key=_KEY))
        options = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        process = subprocess.Popen(
            [command, *options],
            env={**os.environ, "LITELLM_LOG": "ERROR"},
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: pin(SERVER_CORE),
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url + "/health/liveliness")
            headers = {"authorization": f"Bearer {_KEY}", "content-type": "application/json"}
            yield {"litellm": Target(url, headers, process.pid)}
        finally:
            process.terminate()
            process.wait(20)
