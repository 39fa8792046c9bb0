"""What the tools do, without the SDK: easy to test, and to read."""

import csv
import re
from collections import Counter
from html import escape
from io import StringIO

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
DECIMAL = re.compile(rf"{INTEGER.pattern}(?:\.[0-9]+)?")
SENTENCE_END = re.compile(r"[.!?…。！？]+(?=\s|$)")


def describe(text: str) -> str:
    """One paragraph about `text`."""
    words = WORD.findall(text)
    if not words:
        return "There are no words in this text."
    sentences = max(1, len(SENTENCE_END.findall(text.strip())))
    (frequent, times), *_ = Counter(word.lower() for word in words).most_common(1)
    said = [
        f"The text has {_count(sentences, 'sentence')}, {_count(len(words), 'word')} and {_count(sum(map(str.isalpha, text)), 'letter')}.",
        f"Its longest word is “{max(words, key=len)}”.",
    ]
    if times > 1:
        said.append(f"“{frequent}” comes up {times} times.")
    return " ".join(said)


def rows(table: str, separator: str = ",") -> list[dict[str, str | int | float]]:
    """The lines of a CSV table as objects. Raises ValueError when a line does not have as many columns as the first."""
    lines = [line for line in csv.reader(StringIO(table.strip()), delimiter=separator) if line]
    if not lines:
        raise ValueError("The table is empty.")
    names = [name.strip() for name in lines[0]]
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(names):
            raise ValueError(f"Line {number} of the table has {_count(len(line), 'column')}, the first has {len(names)}.")
    columns = [[value.strip() for value in column] for column in zip(*lines[1:], strict=True)]
    converted = [_numbers(column) for column in columns]
    return [dict(zip(names, line, strict=True)) for line in zip(*converted, strict=True)]


def chart(text: str, bars: int = 8) -> str:
    """The most frequent words of `text` as an SVG drawing."""
    counts = Counter(word.lower() for word in WORD.findall(text)).most_common(bars)
    if not counts:
        raise ValueError("There are no words in this text.")
    most = counts[0][1]
    height = 24 * len(counts) + 16
    drawing = [f'<svg xmlns="http://www.w3.org/2000/svg" width="480" height="{height}" font-family="sans-serif" font-size="13">']
    for line, (word, count) in enumerate(counts):
        y, width = 24 * line + 8, round(300 * count / most)
        drawing += [
            f'<text x="112" y="{y + 15}" text-anchor="end">{escape(word)}</text>',
            f'<rect x="120" y="{y}" width="{width}" height="20" rx="3" fill="#2f6f5e"/>',
            f'<text x="{128 + width}" y="{y + 15}">{count}</text>',
        ]
    return "\n".join([*drawing, "</svg>", ""])


def _numbers(column: list[str]) -> list[str] | list[int] | list[float]:
    """A column as numbers if all of it is numbers; 007 and 1_000 are none, for they would not come back as they were."""
    if all(INTEGER.fullmatch(value) for value in column):
        return [int(value) for value in column]
    if all(DECIMAL.fullmatch(value) for value in column):
        return [float(value) for value in column]
    return column


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
