"""Texts to sound and back, in Morse code; without the SDK."""

import io
import math
import wave
from collections.abc import Iterator
from itertools import groupby
from typing import IO

CODES = {
    "A": ".-", "B": "-...", "C": "-.-.", "D": "-..", "E": ".", "F": "..-.", "G": "--.", "H": "....", "I": "..", "J": ".---", "K": "-.-",
    "L": ".-..", "M": "--", "N": "-.", "O": "---", "P": ".--.", "Q": "--.-", "R": ".-.", "S": "...", "T": "-", "U": "..-", "V": "...-",
    "W": ".--", "X": "-..-", "Y": "-.--", "Z": "--..", "0": "-----", "1": ".----", "2": "..---", "3": "...--", "4": "....-",
    "5": ".....", "6": "-....", "7": "--...", "8": "---..", "9": "----.", ".": ".-.-.-", ",": "--..--", "?": "..--..",
}  # fmt: skip
LETTERS = {code: letter for letter, code in CODES.items()}
PITCHES = {"low": 400, "high": 800}  # Hz, by voice
RATE = 8000
UNIT = 480
"""Samples of a dot. A dash is three dots long; so is the pause between letters; between words there are seven."""
SILENCE = 128


def record(text: str, pitch: int) -> bytes:
    """A WAV file. Characters without a code are left out."""
    tone = bytes(SILENCE + round(100 * math.sin(2 * math.pi * pitch * sample / RATE)) for sample in range(3 * UNIT))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(RATE)
        sound.writeframes(b"".join(tone[: units * UNIT] if on else bytes([SILENCE]) * (units * UNIT) for on, units in _rhythm(text)))
    return file.getvalue()


def listen(file: IO[bytes]) -> str:
    """The text of such a recording. Raises ValueError when it is none."""
    try:
        with wave.open(file, "rb") as sound:
            samples = sound.readframes(sound.getnframes())
    except (wave.Error, EOFError) as why:
        raise ValueError(f"This is no WAV file: {why}") from why
    pieces = (samples[start : start + UNIT] for start in range(0, len(samples), UNIT))
    heard = "".join({(True, 1): ".", (True, 3): "-", (False, 3): " ", (False, 7): " / "}.get(beat, "") for beat in _beats(pieces))
    try:
        return " ".join("".join(LETTERS[code] for code in word.split()) for word in heard.split("/"))
    except KeyError as why:
        raise ValueError(f"There is no letter {why}.") from why


def _rhythm(text: str) -> Iterator[tuple[bool, int]]:
    """Tone or silence, and for how many units."""
    for number, word in enumerate(text.upper().split()):
        if number:
            yield False, 7
        for place, code in enumerate(CODES[letter] for letter in word if letter in CODES):
            if place:
                yield False, 3
            for beat, sign in enumerate(code):
                if beat:
                    yield False, 1
                yield True, 3 if sign == "-" else 1


def _beats(pieces: Iterator[bytes]) -> Iterator[tuple[bool, int]]:
    for on, group in groupby(pieces, key=lambda piece: piece.count(SILENCE) < len(piece) / 2):
        yield on, len(list(group))
