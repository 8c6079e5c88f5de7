"""The X-Ray trace that an invocation belongs to."""

from __future__ import annotations

import os
import re

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
_VARIABLE = "_X_AMZN_TRACE_ID"
_ROOT = re.compile(r"(?:^|;)Root=([0-9A-Za-z-]{1,64})(?:$|;)", re.ASCII)


def trace_id() -> str | None:
    """Return the trace's id; None if the invocation has none.

    >>> os.environ[_VARIABLE] = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    >>> trace_id()
    '1-5759e988-bd862e3fe1be46a994272793'
    >>> del os.environ[_VARIABLE]
    """
    found = _ROOT.search(os.environ.get(_VARIABLE, ""))
    return found[1] if found else None
