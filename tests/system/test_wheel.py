"""The package, installed as `pipx install .` does, gives the whole command: nothing of the checkout is used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from hatchling.build import build_editable

pytestmark = pytest.mark.system
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("contract", "localcloud", "loupe", "training")
# Container images are built from a checkout.
BUILD_FILES = re.compile(r"training/Dockerfile.*")
FILES = (
    *("template.yaml", "samconfig.toml", "dashboard/dist", "functions", "statemachine/retrain.asl.json"),
    *("models", "samples", "requirements/sam.txt", "requirements/uv.txt"),
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def names(wheel: Path) -> set[str]:
    """The files in a wheel, without those that describe it."""
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def sources(*paths: str) -> set[str]:
    """The files of the repository at or below each path."""
    found = (file for path in paths for file in [ROOT / path, *(ROOT / path).rglob("*")] if file.is_file())
    return {
        name
        for file in found
        if not BUILD_FILES.fullmatch(name := file.relative_to(ROOT).as_posix())
        and not re.search(r"\.pyc$|/\.", name)
    }


def test_the_wheel_contains_the_packages_and_what_the_local_cloud_deploys_and_nothing_else(wheel: Path):
    installed = {f"localcloud/_repository/{name}" for name in sources(*FILES)}
    assert names(wheel) == sources(*PACKAGES) | installed


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_the_package_depends_on_what_make_demo_installs_and_its_extras_add_torch_and_the_notebooks(
    wheel: Path,
):
    asked: dict[str, set[str]] = {"": set(), "train": set(), "notebook": set()}
    for requirement in metadata(wheel).get_all("Requires-Dist", []):
        extra = re.search(r"extra == '(\w+)'", requirement)
        asked[extra[1] if extra else ""].add(re.split(r"[^\w-]", requirement)[0])
    base = asked[""]
    assert {"ministack", "onnxruntime", "pydantic", "typer"} <= base <= locked("local")
    assert "torch" in asked["train"]
    assert asked["train"] - base == asked["train"] <= locked("train")
    assert {"sagemaker", "jupyterlab"} <= asked["notebook"] <= locked("notebook")
    assert not base & {"hatchling", "editables", "pytest", "sagemaker"}


def locked(target: str) -> set[str]:
    lines = (ROOT / f"requirements/{target}.txt").read_text().splitlines()
    return {line.split("==")[0] for line in lines if "==" in line and not line.startswith(" ")}


def test_an_editable_install_copies_nothing_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    assert {Path(name).suffix for name in names(tmp_path / build_editable(str(tmp_path)))} == {".pth"}


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with the wheel, which sees this environment's dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    # A .pth file in a folder that a .pth file names is not read: the editable install of this checkout stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    install = [sys.executable, "-m", "pip", "--python", str(folder), "install", "--quiet"]
    subprocess.run([*install, "--no-index", "--no-deps", str(wheel)], check=True)
    return folder / "bin"


def run(command: list[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_nothing_of_the_checkout_is_imported(programs: Path, tmp_path: Path):
    code = f"import {', '.join(PACKAGES)}; print(*({', '.join(f'{name}.__file__' for name in PACKAGES)}))"
    files = run([programs / "python", "-c", code], tmp_path).stdout.split()
    assert len(files) == len(PACKAGES)
    assert all(Path(file).is_relative_to(programs.parent) for file in files)


@pytest.mark.slow
def test_the_installed_command_inspects_its_own_samples_in_any_folder_as_the_readme_shows(
    programs: Path, tmp_path: Path
):
    (shown,) = re.findall(r"^demo: .*", (ROOT / "README.md").read_text(), re.MULTILINE)
    demo = run([programs / "loupe", "demo"], tmp_path)
    assert demo.returncode == 0, demo.stderr
    printed = demo.stdout.splitlines()[-1]
    assert re.fullmatch(re.escape(shown).replace("…", r"[\d.]+"), printed), printed
