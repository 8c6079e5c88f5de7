"""Text from outside (keys, labels, serials, messages), made safe to print.

A terminal obeys escape sequences wherever they come from, and a page turns its text around at a bidirectional control
(https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing). Neither belongs in a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# ECMA-48: control sequences (CSI), strings (OSC, DCS, SOS, PM, APC) with their content, and two-character escapes; each
# introduced by ESC or by its C1 form.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
_BREAKS = re.compile("[\t\n\x0b\x0c\r\x85\u2028\u2029]+")
# C0 and C1 controls without tab and line feed, bidirectional controls, the byte order mark, and lone surrogates.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ud800-\udfff]"
)


def plain(text: str) -> str:
    r"""Return the text on one line, without terminal escapes and control characters.

    >>> plain("part\x1b[31m-7\x1b[0m\nnext")
    'part-7 next'
    """
    return plain_lines(_BREAKS.sub(" ", _ESCAPES.sub("", text)))


def plain_lines(text: str) -> str:
    r"""Return the text with its line feeds and tabs, without terminal escapes and other control characters.

    >>> plain_lines("one\r\n\x1b]0;title\x07two\u202e")
    'one\ntwo'
    """
    return _CONTROLS.sub("", _ESCAPES.sub("", text))


def error_text(message: str, hint: str = "") -> str:
    r"""Return an error as every command prints it: what is wrong, and below it what to do next.

    >>> print(error_text("there is no line-9", "Lines: line-1, line-2.").rstrip())
    loupe: there is no line-9
           Lines: line-1, line-2.
    """
    first, *others = plain_lines(message).split("\n")
    more = [line for line in [*others, *plain_lines(hint).split("\n")] if line.strip()]
    return "\n".join([f"loupe: {first}", *(f"       {plain(line)}" for line in more)]) + "\n"


def system_error(error: OSError) -> str:
    """Return an error of the operating system in words: the file, if there is one, and the reason."""
    if not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number of things in words.

    >>> counted(1, "image"), counted(2, "image"), counted(0, "box", "boxes")
    ('1 image', '2 images', '0 boxes')
    """
    return f"{number} {one}" if number == 1 else f"{number} {several or one + 's'}"


def listed(names: Sequence[str], shown: int) -> str:
    """Return the first names, and how many follow.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest
