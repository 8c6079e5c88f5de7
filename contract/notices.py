"""Subjects of notices, as SNS accepts them.

SNS takes UTF-8 text of less than 100 characters, without line breaks and control characters
(https://docs.aws.amazon.com/sns/latest/api/API_Publish.html). It used to take ASCII alone, beginning with a letter, a
number or a punctuation mark.
"""

from __future__ import annotations

import unicodedata

from contract.text import plain

MAX_SUBJECT = 99  # characters
_ELLIPSIS = "..."
_ZERO_WIDTH_JOINER = "\u200d"


def subject(text: str) -> str:
    r"""Return the text as the subject of a notice: one line, at most 99 characters.

    >>> subject("Fehler an Linie Süd\nSN1\x1b[31m")
    'Fehler an Linie Süd SN1'
    """
    words = " ".join(plain(text).split())
    while words and unicodedata.category(words[0])[0] not in "LNPS":
        words = words[1:]
    return shorten(words, MAX_SUBJECT) or "Loupe"


def length(text: str) -> int:
    """Return the number of characters, as AWS's services in Java count them: those beyond U+FFFF count twice."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shorten(text: str, limit: int) -> str:
    """Return the text, cut to a length. A letter keeps its accents, and an emoji its parts.

    Args:
        text: The text.
        limit: The greatest length, the three dots at the cut included.

    >>> shorten("scratches", 9), shorten("scratches", 8)
    ('scratches', 'scrat...')
    """
    if length(text) <= limit:
        return text
    end = len(text)
    while length(text[:end]) > limit - len(_ELLIPSIS):
        end -= 1
    while end and _joined(text[end - 1], text[end]):
        end -= 1
    return text[:end].rstrip() + _ELLIPSIS


def _joined(character: str, following: str) -> bool:
    """Return whether two characters are parts of one that a reader sees.

    The full rules are https://www.unicode.org/reports/tr29/. These are for accents, variants, skin tones and sequences.
    """
    return (
        character == _ZERO_WIDTH_JOINER
        or following == _ZERO_WIDTH_JOINER
        or unicodedata.category(following).startswith("M")
        or "\U0001f3fb" <= following <= "\U0001f3ff"
    )
