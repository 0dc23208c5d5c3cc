"""The program of the engine's own process: llama.cpp with its OpenAI-compatible server on a loopback port.

It is run as a module, with one line of JSON on standard input; it answers with
one line of JSON on standard output when it serves, and ends when standard input closes, so that it cannot outlive its
owner. llama.cpp's own log goes to standard error.
"""

import json
import os
import sys
from typing import Any

import xllamacpp

llama: Any = xllamacpp  # the wheel carries no types


def main() -> None:
    """Serve the model that standard input names until standard input closes."""
    options = json.loads(sys.stdin.readline())
    server = llama.Server(_parameters(options))
    sys.stdout.write(json.dumps({"base_url": server.listening_address}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # the server's threads do not end by themselves


def _parameters(options: dict[str, Any]) -> Any:
    parameters = llama.CommonParams()
    parameters.model.path = options["model_path"]
    parameters.model_alias = {options["model_name"]}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [options["api_key"]]
    parameters.n_ctx = options["context_tokens"]
    parameters.n_parallel = options["parallel"]
    parameters.kv_unified = True  # one long request may use the whole window while the others are idle
    parameters.cpuparams.n_threads = options["threads"]
    parameters.cpuparams_batch.n_threads = options["threads"]
    parameters.cache_ram_mib = options["prompt_cache_mib"]
    parameters.cache_idle_slots = False  # else each request moves all conversations that pause to that memory
    parameters.slot_prompt_similarity = 0.5  # with less, like instructions alone make one take another's place
    parameters.sampling.dry_multiplier = 0.8  # else small models say a sentence again and again
    parameters.endpoint_metrics = True
    if options["kind"] != "chat":
        _read_only(parameters, options)
    parameters.ui = False
    return parameters


def _read_only(parameters: Any, options: dict[str, Any]) -> None:
    """For a model that reads texts whole, all tokens of one at a time, and writes none."""
    parameters.embedding = True
    parameters.n_batch = parameters.n_ubatch = options["context_tokens"]
    if options["kind"] == "rerank":
        parameters.pooling_type = llama.llama_pooling_type.LLAMA_POOLING_TYPE_RANK


if __name__ == "__main__":
    main()
