"""The files of Qdrant Edge: a folder of generations, each a shard, and the name of the active one.

Calls block and belong in the one thread that owns the shards. A generation appears and disappears by renaming its
folder, and the active one changes by renaming a file, so a kill at any moment leaves a consistent state.
"""

import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import qdrant_edge as edge

from fireside.adapters.vector_index.layout import CHUNK, COLLECTION_FIELD, DOCUMENT_FIELD, WINDOWS, WORDS
from fireside.ports.vector_index import (
    ActiveGenerationError,
    IndexState,
    IndexUnavailableError,
    UnknownGenerationError,
    VectorShapeError,
)

_UNFINISHED, _DROPPED = ".unfinished", ".dropped"


@dataclass(frozen=True, slots=True)
class Generation:
    """An open shard and the length of its vectors."""

    shard: edge.EdgeShard
    dimensions: int


class EdgeShards:
    """Every generation under one folder."""

    def __init__(self, folder: Path) -> None:
        """Nothing is opened yet."""
        self._folder = folder
        self._active_file = folder / "active"
        self.generations: dict[str, Generation] = {}
        self.active: str | None = None

    def open(self) -> None:
        """Open what is there; leftovers of an interrupted change are removed.

        Raises:
            IndexUnavailableError: The files are held by another process, or damaged.
        """
        with translated_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._folder.iterdir()):
                if path.suffix in {_UNFINISHED, _DROPPED}:
                    shutil.rmtree(path)
                elif path.is_dir():
                    self.generations[path.name] = _load(path)
            name = self._active_file.read_text() if self._active_file.exists() else ""
            self.active = name if name in self.generations else None

    def flush(self) -> None:
        """Write everything down, so that a loss of power does not undo it."""
        with translated_errors():
            for generation in self.generations.values():
                generation.shard.flush()

    def close(self) -> None:
        """Write everything down and let go of the files."""
        self.flush()
        with translated_errors():
            for generation in self.generations.values():
                generation.shard.close()
        self.generations.clear()

    def state(self) -> IndexState:
        """The generations and the active one."""
        return IndexState(tuple(sorted(self.generations)), self.active)

    def find(self, name: str | None) -> Generation | None:
        """A generation by name, the active one for None."""
        return self.generations.get(name or self.active or "")

    def get(self, name: str | None) -> Generation:
        """A generation by name, the active one for None.

        Raises:
            UnknownGenerationError: There is none.
        """
        generation = self.find(name)
        if generation is None:
            raise UnknownGenerationError(f"the index has no generation {name!r}" if name else "no index is active")
        return generation

    def create(self, name: str, *, dimensions: int) -> None:
        """Make an empty generation, unless it exists.

        Raises:
            VectorShapeError: It exists with other dimensions.
        """
        present = self.generations.get(name)
        if present is not None:
            if present.dimensions != dimensions:
                raise VectorShapeError(f"generation {name!r} has {present.dimensions} dimensions, not {dimensions}")
            return
        unfinished = self._folder / (name + _UNFINISHED)
        with translated_errors():
            (unfinished / "shard").mkdir(parents=True)
            shard = edge.EdgeShard.create(str(unfinished / "shard"), _config(dimensions))
            for field in (COLLECTION_FIELD, DOCUMENT_FIELD):
                shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Uuid))
            shard.flush()
            shard.close()
            _write_durably(unfinished / "generation.json", json.dumps({"dimensions": dimensions}))
            unfinished.rename(self._folder / name)
            _sync_folder(self._folder)
            self.generations[name] = _load(self._folder / name)

    def activate(self, name: str) -> None:
        """Make a generation the active one, durably."""
        self.get(name)
        with translated_errors():
            following = self._active_file.with_name("active.next")
            _write_durably(following, name)
            following.replace(self._active_file)
            _sync_folder(self._folder)
        self.active = name

    def drop(self, name: str) -> None:
        """Remove a generation, if it is there.

        Raises:
            ActiveGenerationError: It is the active one.
        """
        if name == self.active:
            raise ActiveGenerationError(f"generation {name!r} is being searched; activate another one first")
        generation = self.generations.pop(name, None)
        if generation is None:
            return
        with translated_errors():
            generation.shard.close()
            dropped = self._folder / (name + _DROPPED)
            (self._folder / name).rename(dropped)
            shutil.rmtree(dropped)


@contextmanager
def translated_errors() -> Generator[None]:
    """Turn what the engine and the file system raise into errors of the port."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise IndexUnavailableError(f"the search index cannot be used: {error}") from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        # qdrant-edge-py raises bare Exceptions and has no class of its own to catch
        raise IndexUnavailableError(f"the search index cannot be used: {error}") from error


def _config(dimensions: int) -> edge.EdgeConfig:
    no_graph = edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=2**40)
    half, dot = edge.VectorStorageDatatype.Float16, edge.Distance.Dot
    closest = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
    return edge.EdgeConfig(
        vectors={
            CHUNK: edge.EdgeVectorParams(dimensions, dot, datatype=half, hnsw_config=no_graph),
            WINDOWS: edge.EdgeVectorParams(
                dimensions, dot, datatype=half, hnsw_config=no_graph, multivector_config=closest
            ),
        },
        sparse_vectors={WORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        hnsw_config=no_graph,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=2**40, default_segment_number=1),
    )


def _load(path: Path) -> Generation:
    facts = json.loads((path / "generation.json").read_text())
    shard = edge.EdgeShard.load(str(path / "shard"))
    shard.optimize()  # removes deleted points once they are many; without a graph to build this takes milliseconds
    return Generation(shard, int(facts["dimensions"]))


def _write_durably(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
