"""Words of running text in a known language: tokens, stop words and stems; pairs of characters for CJK scripts.

Pure functions for services that compare texts by their words. Which language a text is in is decided elsewhere.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Protocol, cast

import snowballstemmer

_TOKEN = re.compile(r"[^\W_]+(?:['’.,:&-][^\W_]+)*")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")
_APOSTROPHE = re.compile(r"['’](?:s|re|ve|ll|d|m|t)$")
_ELISION = re.compile(r"^(?:[cdjlmnst]|qu|dell|nell|all|dall|sull|un)['’](?=\w)")

_STOP_WORDS = {
    "en": """
        a about after all also am an and any are as at be because been before being but by can could did do does done
        down each else few for from get gets got had has have he her here hers him his how i if in into is it its just
        let like me might more most much must my no nor not now of off on once one only or other our out over own please
        same shall she should so some still such than that the their them then there these they this those through to
        too under until up us very was we were what whats when where which while who whom whose why will with would yes
        you your
    """,
    "de": """
        aber alle allem allen aller alles als also am an ander andere auch auf aus bei beim bin bis bist da damit dann
        das dass dein dem den denn der des dich die dies diese diesem diesen dieser dieses dir doch dort du durch ein
        eine einem einen einer eines er es etwas euch für gibt habe haben hat hatte hier ich ihm ihn ihnen ihr ihre im
        in ist ja kann kein keine können man mein mich mir mit muss müssen nach nicht noch nun nur ob oder ohne sehr
        sein seine sich sie sind so soll sollte über um und uns unser unter vom von vor war waren was weil welche
        welcher wenn wer werden wie wieder will wir wird wo wurde zu zum zur zwischen
    """,
    "fr": """
        à ai aie au aussi autre aux avec avez avoir avons ce cela ces cet cette ceux chez comme comment d dans de des
        dois doit donc du elle elles en encore entre es est et été être eu fait faire faut il ils j je l la le les leur
        leurs lui m ma mais me même mes moi mon n ne ni nos notre nous on ont ou où par pas peut peux plus pour pourquoi
        puis qu quand que quel quelle quelles quels qui quoi s sa sans se sera ses si son sont sur t ta te tes toi ton
        tous tout toute toutes très tu un une vers vos votre vous y
    """,
    "es": """
        a al algo ante aquí así aún aunque cada como cómo con cuál cuáles cuando cuándo cuánto de del desde donde dónde
        dos e el él ella ellas ellos en entre era es esa ese eso esta está están estas este esto estos fue ha había
        hacer han hasta hay la las le les lo los más me mi mis mucho muy nada ni no nos nosotros o os otra otro para
        pero poco por porque puede puedo que qué quien quién se sea ser si sí sido sin sobre son su sus también tan te
        tengo tiene tienen toda todo todos tu tus un una uno unos usted y ya yo
    """,
    "it": """
        a ad agli ai al alla alle allo anche avere c che chi ci come con contro cosa cui da dagli dai dal dalla dalle
        degli dei del della delle dello devo di dove e è ed era essere fa fare fra gli ha hai hanno ho i il in io l la
        le lei li lo loro lui ma mi mia mio molto ne negli nei nel nella nelle noi non nostro o ogni per perché più poi
        possa posso può qual quale quali quando quanta quanti quanto quella quello questa queste questi questo se sei si
        sia siamo sono sta su sua sue sugli sui sul sulla suo tra tu tutti tutto un una uno vi voi
    """,
    "nl": """
        aan al alle alles als altijd andere ben bij daar dan dat de der deze die dit doch doen door dus een eens en er
        ge geen geweest haar had heb hebben heeft hem het hier hij hoe hun iets ik in is ja je kan kon kunnen maar me
        meer men met mij mijn moet moeten na naar niet niets nog nu of om omdat onder ons ook op over reeds te tegen
        toch toen tot u uit uw van veel voor want waren was wat we welk welke werd wie wij wil worden wordt zal ze zelf
        zich zij zijn zo zonder zou
    """,
    "pt": """
        à ao aos aquela aquele aqui as às até com como cada da das de dela dele depois do dos e é ela ele eles em entre
        era essa esse esta está este eu faz fazer foi há isso isto já lhe mais mas me mesmo meu minha muito na não nas
        nem no nos nós nossa nosso num o onde os ou para pela pelo pode por porque posso qual quais quando quanto que
        quem se sem ser seu sua são só sobre também te tem tenho ter teu tu tua um uma você vocês
    """,
}
_STEMMERS = {
    "en": "english",
    "de": "german",
    "fr": "french",
    "es": "spanish",
    "it": "italian",
    "nl": "dutch",
    "pt": "portuguese",
}


@cache
def stop_words() -> Mapping[str, frozenset[str]]:
    """The commonest function words of each known language, by ISO 639-1 code."""
    return MappingProxyType({code: frozenset(words.split()) for code, words in _STOP_WORDS.items()})


def tokens(text: str) -> list[str]:
    """The words and numbers of a text in lower case, in order; runs of CJK or Thai script as overlapping pairs."""
    found: list[str] = []
    for match in _TOKEN.finditer(text.casefold()):
        word = match[0]
        if _CJK.match(word):
            found.extend(word[i : i + 2] for i in range(max(1, len(word) - 1)))
        else:
            found.append(_APOSTROPHE.sub("", _ELISION.sub("", word)))
    return found


def content_terms(text: str, language: str = "en") -> list[str]:
    """The stems of the words that carry meaning, in order, repeats included.

    Args:
        text: Running text.
        language: ISO 639-1 code; a text in an unknown language is neither stemmed nor filtered.
    """
    stops = stop_words().get(language, frozenset())
    return _stem([token for token in tokens(text) if token not in stops], language)


def _stem(words: list[str], language: str) -> list[str]:
    name = _STEMMERS.get(language)
    return [_stem_word(word, name) for word in words] if name else words


@lru_cache(maxsize=50_000)
def _stem_word(word: str, name: str) -> str:
    return _stemmer(name).stemWord(word)


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str:  # noqa: N802 - the library's name
        ...


@cache
def _stemmer(name: str) -> _Stemmer:
    return cast("_Stemmer", snowballstemmer.stemmer(name))
