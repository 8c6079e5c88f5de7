"""The patches apply to one version of MiniStack, and say so."""

import pytest

from localcloud import IncompatibleMiniStackError
from localcloud.ministack import patches


def test_another_version_is_refused() -> None:
    with pytest.raises(
        IncompatibleMiniStackError, match=r"1\.5\.34 is installed; the local cloud needs 1\.5\.33"
    ):
        patches.check("1.5.34")


def test_a_name_that_moved_is_refused() -> None:
    with pytest.raises(IncompatibleMiniStackError, match=r"ministack\.core\.arn has no parse_urn"):
        patches.check(names={"core.arn": ("parse_arn", "parse_urn")})
