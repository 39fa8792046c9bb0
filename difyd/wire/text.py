"""
JSON from outside, made fit to be spliced into a line that others trust, without being decoded.

A line of a plugin, the body of a client, a frame of the inner API: each becomes part of a line again. A healthy one passes here at the
cost of two or three searches; repairs live in paths of their own. The rules are those of the wire (http-api 3.4, dify-client 4.2).
"""

import re

Pieces = tuple[bytes, ...]
"""A text that has not been joined, in order."""

_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_SEPARATORS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


def one_line(text: bytes) -> bytes:
    """The same JSON without LF and CR: outside of strings they are blanks, inside they cannot stand."""
    if b"\n" in text:
        text = text.replace(b"\n", b" ")
    if b"\r" in text:
        text = text.replace(b"\r", b" ")
    return text


def utf8(text: bytes) -> bytes:
    """The same JSON as valid UTF-8: what is none becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode(errors="replace").encode()
    return text


def escape_separators(text: bytes) -> bytes:
    """The same JSON with U+0085, U+2028 and U+2029 escaped: a client takes them for the end of a line."""
    if text.isascii():
        return text
    for raw, escaped in _SEPARATORS:
        if raw in text:
            text = text.replace(raw, escaped)
    return text


def clean(text: bytes) -> bytes:
    """All of the above: JSON that can stand in a line towards a client."""
    if b"\r" in text or b"\n" in text:
        text = one_line(text)
    return text if text.isascii() else escape_separators(utf8(text))


def mend_surrogates(text: bytes) -> bytes:
    """The same JSON with U+FFFD for every escaped half of a surrogate pair. For text that a decoder has refused."""
    out, done, high = [], 0, None
    for match in _ESCAPE.finditer(text):
        unit = int(match[1], 16) if match[1] else 0
        if high is not None:
            if 0xDC00 <= unit <= 0xDFFF and high.end() == match.start():
                high = None  # a whole pair
                continue
            out += [text[done : high.start()], rb"\ufffd"]
            done, high = high.end(), None
        if 0xD800 <= unit <= 0xDBFF:
            high = match
        elif 0xDC00 <= unit <= 0xDFFF:
            out += [text[done : match.start()], rb"\ufffd"]
            done = match.end()
    if high is not None:
        out += [text[done : high.start()], rb"\ufffd"]
        done = high.end()
    return b"".join([*out, text[done:]])
