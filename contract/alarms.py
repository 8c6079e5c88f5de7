"""The names of the stack's alarms."""

import re

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
_RANDOM_END = re.compile(r"-[0-9A-Za-z]{8,16}$")
# An alarm's name in template.yaml, and CloudFormation's end.
_OWN = re.compile(r"[0-9A-Za-z]+Alarm(-[0-9A-Za-z]{8,16})?")


def prefix(stack: str) -> str:
    """Return how the names of a stack's alarms begin."""
    return f"{stack}-"


def short_name(name: str, stack: str) -> str:
    """Return an alarm's name in the template, without the stack's name and CloudFormation's random end.

    >>> short_name("loupe-DeadLetterAlarm-1WKS4P0LKXIIG", "loupe")
    'DeadLetterAlarm'
    """
    return _RANDOM_END.sub("", name.removeprefix(prefix(stack)))


def belongs(name: str, stack: str) -> bool:
    """Return whether an alarm is one of a stack, and not of another one whose name begins like the stack's.

    >>> belongs("loupe-DeadLetterAlarm-1WKS4P0LKXIIG", "loupe")
    True
    >>> belongs("loupe-2-DeadLetterAlarm-1WKS4P0LKXIIG", "loupe")
    False
    """
    return name.startswith(prefix(stack)) and _OWN.fullmatch(name.removeprefix(prefix(stack))) is not None
