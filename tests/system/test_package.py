"""A package that `sam build` makes holds everything that a function needs.

The laptop's Python sees every package of the environment, so an undeclared dependency would pass unnoticed
everywhere but on AWS.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
# What Lambda's Python runtime brings: boto3 and what it needs.
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six")
LIMIT = 25 * 1024 * 1024


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the very targets that `sam build` calls, for the Python that runs the tests."""
    folder = tmp_path_factory.mktemp("package")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        pytest.fail("uv is not installed: make .venv/.uv")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    make = ["make", "-C", str(ROOT), "-f", "functions/Makefile", "build-InspectFunction"]
    settings = [f"ARTIFACTS_DIR={folder}", f"UV={uv}", f"PYTHON_VERSION={version}"]
    if sys.platform != "linux":
        pytest.skip("the package holds Linux wheels")
    subprocess.run([*make, *settings], check=True)
    return folder


HANDLERS = sorted(set(re.findall(r"Handler: (handlers\.\w+)\.handler", (ROOT / "template.yaml").read_text())))


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_imports_from_its_package_and_the_runtime_alone(
    package: Path, tmp_path: Path, handler: str
):
    for name in RUNTIME:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin)
        source = source.parent if source.name == "__init__.py" else source
        (tmp_path / source.name).symlink_to(source)
    paths = [str(package), str(tmp_path)]
    code = f"import sys; sys.path[:0] = {paths}; import {handler} as h; print(h.handler.__name__)"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.stdout.strip() == "handler", ran.stderr


def test_the_package_is_at_most_25_mb_zipped(package: Path, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "package.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in package.rglob("*"):
            archive.write(file, file.relative_to(package))
    assert (tmp_path / "package.zip").stat().st_size <= LIMIT
    assert not (package / "boto3").exists()
