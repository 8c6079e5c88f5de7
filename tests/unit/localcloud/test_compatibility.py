"""The changes to MiniStack apply to one version of it, and any other is refused."""

import pytest

from localcloud import IncompatibleMiniStackError
from localcloud.ministack import compatibility


def test_another_version_is_refused() -> None:
    with pytest.raises(
        IncompatibleMiniStackError, match=r"1\.5\.34 is installed; the local cloud needs 1\.5\.33"
    ):
        compatibility.check("1.5.34")


def test_a_missing_name_is_refused() -> None:
    with pytest.raises(IncompatibleMiniStackError, match=r"ministack\.core\.arn has no parse_urn"):
        compatibility.check(names={"core.arn": ("parse_arn", "parse_urn")})
