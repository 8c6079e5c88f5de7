"""The pages, and the command lines in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_SHELLS = ("sh", "bash", "shell", "console")
_OPERATOR = re.compile(r"^[|&;<>]+$")
_ASSIGNMENT = re.compile(r"^[A-Z_]+=")
_PROGRAMS = ("loupe", "make", "python")


@dataclass(frozen=True)
class Command:
    """A command line in a page.

    Attributes:
        page: The page's name.
        words: The program and its arguments, as a shell would pass them.
        inline: It is in a sentence, where it may be the name of a command without its arguments.
    """

    page: str
    words: tuple[str, ...]
    inline: bool = False

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def shell_lines(text: str) -> Iterator[str]:
    """Yield the command lines of a page's shell blocks, in order; a continued line is one."""
    for language, block in _BLOCK.findall(text):
        lines = block.replace("\\\n", " ").splitlines()
        if language in _SHELLS:
            yield from (line for line in lines if line.strip() and not line.startswith("#"))
        elif not language:
            # The output of a command, after the command.
            yield from (line.removeprefix("$ ") for line in lines if line.startswith("$ "))


def commands(page: Path) -> Iterator[Command]:
    """Yield the command lines of a page that are ours: loupe, make and python -m."""
    text = page.read_text()
    for line in shell_lines(text):
        for words in simple_commands(line):
            yield Command(page.name, words)
    for code in _INLINE.findall(_BLOCK.sub("", text)):
        # Words such as `loupe` or `make` alone are names, not command lines.
        for words in simple_commands(code) if code.startswith(_PROGRAMS) and " " in code else []:
            yield Command(page.name, words, inline=True)


def simple_commands(line: str) -> list[tuple[str, ...]]:
    """Return the commands of ours in a line of shell, without what surrounds them.

    >>> simple_commands("time make demo && A=1 loupe drop a --wait > x  # upload")
    [('make', 'demo'), ('loupe', 'drop', 'a', '--wait')]
    >>> simple_commands("uvx --from . loupe demo | tail -1")
    [('loupe', 'demo')]
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    found, words = [], []
    for word in [*lexer, ";"]:
        if not _OPERATOR.match(word):
            words.append(word)
            continue
        if ours := _ours(words):
            found.append(ours)
        # What follows < or > is a file.
        words = ["<"] if "<" in word or ">" in word else []
    return found


def _ours(words: list[str]) -> tuple[str, ...] | None:
    """Return the command from its program on; None if it is none of ours."""
    rest = list(words)
    while rest and (_ASSIGNMENT.match(rest[0]) or rest[0] in ("time", "nice")):
        rest.pop(0)
    if rest[:1] == ["uvx"] and "loupe" in rest:
        rest = rest[rest.index("loupe") :]
    is_ours = bool(rest) and rest[0] in _PROGRAMS and (rest[0] != "python" or "-m" in rest)
    return tuple(rest) if is_ours else None
