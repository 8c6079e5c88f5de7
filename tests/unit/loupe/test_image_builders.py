"""The images' builders: the exact commands, by programs on the PATH that write down how they were called."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from loupe.account.account import Account
from loupe.account.builders import source
from loupe.account.builders.engines import Docker, Rootless
from loupe.account.images import choose
from loupe.errors import LoupeError

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
URI = f"{REGISTRY}/trial/serve:abc123"
SECRET = "eyJwYXlsb2FkIjoi"
# What a fake program does: it writes its call to a file, and what its standard input says.
FAKE = f"""#!{sys.executable}
import json, os, sys
words = sys.argv[1:]
given = "" if "--password-stdin" not in words else sys.stdin.read()
with open({{log!r}}, "a") as log:
    log.write(json.dumps([{{name!r}}, words, given, os.environ.get("DOCKER_BUILDKIT")]) + "\\n")
print("output of", words[0], given)
for refused in {{refused!r}}:
    if words[: len(refused)] == refused:
        sys.exit("refused: " + " ".join(words[:2]))
"""


class Programs:
    """Fake programs on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder / "bin", folder / "calls"
        self.folder.mkdir()

    def add(self, name: str, *refused: list[str]) -> None:
        """Put a program there that fails when it is called with one of these beginnings."""
        program = self.folder / name
        program.write_text(FAKE.format(log=str(self.log), name=name, refused=list(refused)))
        program.chmod(0o755)

    @property
    def calls(self) -> list[Any]:
        """Each call: name, words, standard input, DOCKER_BUILDKIT."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    @property
    def commands(self) -> list[str]:
        """Each call that is no question about the program itself."""
        asked = ("version", "info", "--version")
        return [" ".join([name, *words]) for name, words, *_ in self.calls if not {*asked} & {*words[:2]}]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    found = Programs(tmp_path)
    monkeypatch.setenv("PATH", f"{found.folder}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.delenv(source.BASE_VARIABLE, raising=False)
    return found


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    session = boto3.Session("key", "secret", region_name="eu-central-1")
    account = Account(session, None, "trial")
    token = base64.b64encode(f"AWS:{SECRET}".encode()).decode()

    def answer(**_: Any) -> Any:
        data = {"authorizationToken": token, "proxyEndpoint": f"https://{REGISTRY}"}
        return _Answer(), {"authorizationData": [data]}

    account.client("ecr").meta.events.register_first("before-call.ecr.GetAuthorizationToken", answer)
    return account


class _Answer:
    status_code = 200


def build(builder: Docker | Rootless, account: Account) -> list[str]:
    lines: list[str] = []
    builder.build_and_push("serve", URI, account, lines.append)
    return lines


def test_docker_pushes_a_docker_manifest_for_amd64_without_attestations(
    programs: Programs, account: Account
) -> None:
    programs.add("docker")
    build(Docker(), account)
    assert programs.commands == [
        f"docker login --username AWS --password-stdin {REGISTRY}",
        "docker buildx build --provenance=false --sbom=false --output type=registry,oci-mediatypes=false"
        f" --platform linux/amd64 --file training/Dockerfile --target serve --tag {URI}"
        " --build-arg GIT_SHA=abc123 .",
        f"docker logout {REGISTRY}",
    ]


def test_docker_without_buildx_builds_with_its_own_builder_which_writes_dockers_manifests(
    programs: Programs, account: Account
) -> None:
    programs.add("docker", ["buildx"])
    build(Docker(), account)
    assert programs.commands[1:3] == [
        f"docker build --platform linux/amd64 --file training/Dockerfile --target serve --tag {URI}"
        " --build-arg GIT_SHA=abc123 .",
        f"docker push {URI}",
    ]
    assert [call[3] for call in programs.calls if call[1][0] == "build"] == ["0"]


@pytest.mark.parametrize("name", ["podman", "buildah"])
def test_podman_and_buildah_push_a_docker_manifest_for_amd64(
    programs: Programs, account: Account, name: str
) -> None:
    programs.add(name)
    build(Rootless(name), account)
    built, logged_in, pushed = programs.commands
    assert built == (
        f"{name} build --format docker --platform linux/amd64 --file training/Dockerfile --target serve --tag {URI}"
        " --build-arg GIT_SHA=abc123 ."
    )
    login, _, rest = logged_in.partition(" --username ")
    assert rest == f"AWS --password-stdin {REGISTRY}"
    file = login.removeprefix(f"{name} login --authfile ")
    assert pushed == f"{name} push --authfile {file} --format v2s2 {URI}"
    assert not Path(file).exists()


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_the_password_of_the_registry_is_in_no_argument_and_in_no_line(
    programs: Programs, account: Account, name: str
) -> None:
    programs.add(name)
    lines = build(Docker() if name == "docker" else Rootless(name), account)
    given = [call[2] for call in programs.calls if "login" in call[1][0]]
    assert given == [SECRET]
    assert SECRET not in "".join(programs.commands)
    assert any(line.startswith("output of login ***") for line in lines)
    assert SECRET not in "".join(lines)


def test_a_login_that_was_there_before_stays(programs: Programs, account: Account) -> None:
    programs.add("docker")
    folder = Path(os.environ["DOCKER_CONFIG"])
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"auths": {REGISTRY: {}}, "credsStore": "desktop"}))
    build(Docker(), account)
    assert not [command for command in programs.commands if "logout" in command]


def test_a_failed_build_tells_the_last_lines_and_still_logs_out(programs: Programs, account: Account) -> None:
    programs.add("docker", ["buildx", "build"])
    with pytest.raises(LoupeError, match="docker buildx build ended with 1:\noutput of buildx") as raised:
        build(Docker(), account)
    assert "refused: buildx build" in raised.value.message
    assert programs.commands[-1] == f"docker logout {REGISTRY}"


def test_the_base_image_may_be_another_one(
    programs: Programs, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(source.BASE_VARIABLE, "mirror.example/python:3.13-slim")
    programs.add("podman")
    build(Rootless("podman"), account)
    assert "--build-arg BASE=mirror.example/python:3.13-slim ." in programs.commands[0]


def test_the_first_program_that_works_builds(programs: Programs, account: Account) -> None:
    programs.add("docker", ["version"])
    programs.add("buildah")
    assert choose(None, account).name == "buildah"


def test_without_any_program_the_account_builds_itself(programs: Programs, account: Account) -> None:
    assert choose(None, account).name == "codebuild"


def test_a_wanted_builder_that_cannot_build_says_why(programs: Programs, account: Account) -> None:
    programs.add("docker", ["version"])
    with pytest.raises(LoupeError, match="docker is installed, but its engine does not run"):
        choose("docker", account)
    with pytest.raises(LoupeError, match="podman is not installed"):
        choose("podman", account)
    with pytest.raises(LoupeError, match="there is no builder 'kaniko'"):
        choose("kaniko", account)


def test_the_local_cloud_needs_no_program(programs: Programs) -> None:
    local = Account(boto3.Session("k", "s", region_name="eu-central-1"), "http://127.0.0.1:4566", "trial")
    assert choose(None, local).name == "local"
    with pytest.raises(LoupeError, match="no builder 'docker'"):
        choose("docker", local)
