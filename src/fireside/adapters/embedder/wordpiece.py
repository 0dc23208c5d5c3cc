"""The WordPiece tokenizer of uncased BERT models, with their vocabulary beside this module."""

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from tokenizers import BertWordPieceTokenizer

_LONGEST_WORD_CHARS = 100
"""BERT reads a longer word as one unknown token, so text beyond this many characters a token is never read."""


class WordPieceTokenizer:
    """Cuts texts into token ids, with the model's start and end tokens, cut at its limit."""

    def __init__(self, *, max_tokens: int) -> None:
        """Load the vocabulary.

        Args:
            max_tokens: Longest result, start and end token included.
        """
        vocabulary = files("fireside.adapters.embedder") / "minilm_vocabulary" / "vocab.txt"
        ids = {token: index for index, token in enumerate(vocabulary.read_text(encoding="utf-8").splitlines())}
        self._tokenizer = BertWordPieceTokenizer(vocab=ids, lowercase=True)
        self._tokenizer.enable_truncation(max_tokens)
        self._read_chars = max_tokens * _LONGEST_WORD_CHARS

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """The token ids of each text; at least the start and the end token."""
        readable = [text[: self._read_chars].encode("utf-8", "replace").decode() for text in texts]
        return [np.asarray(encoding.ids, dtype=np.int64) for encoding in self._tokenizer.encode_batch(readable)]
