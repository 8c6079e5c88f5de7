"""Build the images into the store of this machine's engine, as `make images` does; nothing is pushed."""

from __future__ import annotations

import os
import sys

from contract.text import error_text
from loupe.account.builders.engines import Docker, Engine, Rootless
from loupe.account.builders.source import TARGETS, tag
from loupe.errors import LoupeError


def main() -> int:
    """Build loupe-serve, loupe-serve-gpu and loupe-train. Returns the exit status."""
    try:
        engine = _engine(os.environ.get("BUILDER"))
        for target in TARGETS:
            _show(f"loupe-{target}: {engine.name}, linux/amd64")
            engine.build(target, f"loupe-{target}", tag(target), _show)
    except LoupeError as error:
        sys.stderr.write(error_text(error.message, error.hint))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _engine(wanted: str | None) -> Engine:
    """Return the first engine that works here, or the wanted one."""
    engines: list[Engine] = [Docker(), Rootless("podman"), Rootless("buildah")]
    reasons = []
    for engine in engines:
        if wanted in (None, "", engine.name):
            reason = engine.available()
            if reason is None:
                return engine
            reasons.append(reason)
    raise LoupeError(
        f"the images cannot be built: {'; '.join(reasons) or f'there is no engine {wanted!r}'}",
        "Install docker, podman or buildah; `loupe cloud create` also builds in the account, by CodeBuild.",
    )


if __name__ == "__main__":
    raise SystemExit(main())
