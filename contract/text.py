"""Text from outside (keys, labels, serials, messages), made safe to print.

A terminal obeys escape sequences wherever they come from, and a page turns its text around at a bidirectional control
(https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing). Neither belongs in a name.
"""

from __future__ import annotations

import re

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
