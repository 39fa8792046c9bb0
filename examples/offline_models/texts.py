"""What the models for texts do, without the SDK: easy to test, and to read."""

import math
import re
from collections.abc import Sequence
from hashlib import sha256

TOKEN = re.compile(r"\s*\S+")
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
SENTENCE = re.compile(r"\S.*?(?:[.!?…。！？]+(?=\s|$)|$)", re.DOTALL | re.MULTILINE)
SIZE = 64
"""Numbers in a vector."""
FORBIDDEN = frozenset({"blast", "darn", "heck"})


def words(text: str) -> list[str]:
    return [word.casefold() for word in WORD.findall(text)]


def tokens(text: str) -> list[str]:
    """`text` in pieces: each a word with its marks and the blanks before it."""
    return TOKEN.findall(text)


def overlap(query: str, text: str) -> float:
    """The share of the words of `query` that come up in `text`, from 0 to 1."""
    wanted = set(words(query))
    return len(wanted.intersection(words(text))) / len(wanted) if wanted else 0.0


def quote(question: str, sources: Sequence[str]) -> str:
    """The first of the sentences in `sources` that have most words in common with the question."""
    sentences = [sentence for source in sources for sentence in SENTENCE.findall(source)]
    best = max(sentences, key=lambda sentence: overlap(question, sentence), default="")
    return best if overlap(question, best) else "Nothing was said about that."


def cut(text: str, stop: Sequence[str]) -> str:
    """`text` up to the first of the words at which the caller wants it to stop."""
    return text[: min((place for word in stop if (place := text.find(word)) >= 0), default=len(text))]


def vector(text: str) -> list[float]:
    """
    A vector of length 1 in which each word has pushed one number, which its hash names, up or down.

    Texts with many words in common are near to each other; that is all that the model knows.
    """
    pushed = [0] * SIZE
    for word in words(text):
        place, way, *_ = sha256(word.encode()).digest()
        pushed[place % SIZE] += 1 if way % 2 else -1
    length = math.hypot(*pushed) or 1.0
    return [number / length for number in pushed]


def is_rude(text: str) -> bool:
    return not FORBIDDEN.isdisjoint(words(text))
