"""A change to MiniStack's IAM: `*` and `?` of a policy also match a line break.

"*" is any combination of characters: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
A key in S3 may contain a line break, and a role that may read `incoming/*` may read it. In MiniStack's expressions the
dot matches no line break, and `$` also matches before one.
"""

import functools
import re

from ministack.core import iam_evaluator


def apply() -> None:
    """Patch MiniStack."""
    iam_evaluator._fnmatch_compile = _compiled


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    """Return the expression of a pattern, for `re.Pattern.match`."""
    parts = {"*": ".*", "?": "."}
    expression = "".join(parts.get(character) or re.escape(character) for character in pattern)
    return re.compile(rf"{expression}\Z", re.DOTALL | (re.IGNORECASE if ignore_case else 0))
