"""Naming a conversation after its first question, by rules alone: at once, for nothing, the same every time."""

import re

_LONGEST_CHARS = 60
_MARKUP = re.compile(r"^\s*(?:[#>*+-]+|\d+[.)])\s+|[*_`~]+|!?\[([^\]]*)\]\([^)]*\)", re.MULTILINE)
_GREETING = re.compile(
    r"^(?:(?:hi|hey|hello|good (?:morning|afternoon|evening)|dear \w+|hallo|guten (?:morgen|tag|abend)|bonjour|salut"
    r"|hola|buenos días|buenas tardes|ciao|buongiorno)(?: there| all| team| everyone| zusammen)?\s*[,.!:;-]+\s*)+",
    re.IGNORECASE,
)
_POLITE = re.compile(
    r"^(?:please|bitte|(?:can|could|would|will) you(?: please)?(?: tell me| explain(?: to me)?)?"
    r"|(?:kannst du|können sie)(?: mir)?(?: bitte)?)\s*,?\s+",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s")
EMPTY_TITLE = "New conversation"


def title_from(text: str) -> str:
    """A short title for a conversation that begins with this text: its first sentence, without greeting and markup."""
    lines = (" ".join(_strip_markup(line).split()) for line in text.splitlines())
    for line in (line for line in lines if line and not line.startswith("```")):
        without_greeting = _GREETING.sub("", line)
        if without_greeting:
            return _capitalised(_shortened(_first_sentence(without_greeting)))
    return _shortened(" ".join(text.split())) or EMPTY_TITLE


def _strip_markup(line: str) -> str:
    return _MARKUP.sub(lambda found: found[1] or "", line)


def _first_sentence(line: str) -> str:
    sentence = _SENTENCE_END.split(line, maxsplit=1)[0]
    return _POLITE.sub("", sentence) or sentence


def _shortened(sentence: str) -> str:
    sentence = sentence.rstrip(" .:;,")
    if len(sentence) <= _LONGEST_CHARS:
        return sentence
    cut = sentence[: _LONGEST_CHARS - 1]
    at_word = cut.rsplit(" ", 1)[0] if " " in cut and sentence[_LONGEST_CHARS - 1] != " " else cut
    return at_word.rstrip(" .:;,-(") + "…"


def _capitalised(title: str) -> str:
    return title[:1].upper() + title[1:]
