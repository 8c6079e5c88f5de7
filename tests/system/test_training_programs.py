"""The container programs as processes, as SageMaker or the local SageMaker starts and stops them."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from PIL import Image

from benchmarks.serve_servers import peak_mib
from tests.system.cloud_process import eventually
from training import serve
from training.datasets.generated.synthetic import generate
from training.job.container import cores
from training.model.artefact import pack, unpack

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "models/starter/model.tar.gz"
SAMPLE = ROOT / "samples/line-2/bottom/SN1003.jpg"

# How signals end a program; the first kind cannot be handled, or makes a core dump.
AT_ONCE = [signal.SIGQUIT, signal.SIGKILL]
IN_WORDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def each_end(*usual: signal.Signals) -> pytest.MarkDecorator:
    """Try every signal; those that are not usual prove at night what other tests prove by day."""
    return pytest.mark.parametrize(
        "number",
        [
            number if number in usual else pytest.param(number, marks=pytest.mark.nightly)
            for number in AT_ONCE + IN_WORDS
        ],
    )


pytestmark = pytest.mark.system


@pytest.fixture
def root(tmp_path: Path) -> Path:
    unpack(STARTER, tmp_path / "model")
    return tmp_path


@contextmanager
def serving(root: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = os.environ | {
        "LOUPE_ML_ROOT": str(root),
        "LOUPE_BIND_HOST": "127.0.0.1",
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    command = [sys.executable, "-m", "training.serve"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        url = f"http://127.0.0.1:{json.loads(line)['port']}" if line.startswith("{") else line
        yield process, url
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def get(url: str, data: bytes | None = None, deadline: float = 60) -> tuple[int, dict]:
    request = urllib.request.Request(url, data, {"Content-Type": "image/jpeg"} if data is not None else {})
    end = time.monotonic() + deadline
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def test_serve_answers_and_ends_at_once_on_sigterm(root):
    with serving(root) as (process, url):
        ready(url)
        status, document = get(url + "/invocations", SAMPLE.read_bytes())
        assert status == 200
        assert document["detections"][0]["label"] == "patches"
        assert get(url + "/invocations", b"no image")[1]["error"]["code"] == "unsupported_format"

        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("send", "number"),
    [
        (os.kill, signal.SIGTERM),
        pytest.param(os.killpg, signal.SIGTERM, marks=pytest.mark.nightly),
        (os.killpg, signal.SIGINT),
    ],
)
def test_a_request_in_flight_is_answered_before_serve_ends(root, send, number):
    with serving(root) as (process, url):
        ready(url)
        data = SAMPLE.read_bytes()
        port = int(url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as client:
            head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
            client.sendall(head.encode() + data[:-1])
            eventually(lambda: has_accepted(process.pid, client.getsockname()[1]))
            # An answer to a later connection: by then the server has read what was sent on this one.
            assert get(url + "/ping")[0] == 200
            send(process.pid, number)
            eventually(lambda: refuses(port))
            client.sendall(data[-1:])
            client.settimeout(60)
            with client.makefile("rb") as answer:
                assert answer.readline().startswith(b"HTTP/1.1 200")
        assert process.wait(60) == 0


def has_accepted(pid: int, port: int) -> bool:
    """Return whether a server has a connection from a client's port."""
    connections = psutil.Process(pid).net_connections("tcp4")
    return any(each.raddr and each.raddr.port == port for each in connections)


def refuses(port: int) -> bool:
    """Return whether nobody listens on a port any more."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionError:
        return True
    return False


@each_end(signal.SIGKILL, signal.SIGTERM)
def test_no_worker_outlives_a_server_whatever_ends_it(number, tmp_path):
    status = 0 if number in IN_WORDS else -number
    with served_by_hand(TMPDIR=str(tmp_path)) as (process, _, _url):
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= cores()
        process.send_signal(number)
        assert process.wait(60) == status
        _, alive = psutil.wait_procs(family, timeout=60)
        assert not alive
    if status == 0:
        assert list(tmp_path.glob("loupe-serve-*")) == []


# What a training says when it is stopped is tried in tests/unit/training/learning/test_train.py.
@each_end(signal.SIGKILL)
def test_no_loader_outlives_a_training_whatever_ends_it(number, tmp_path):
    generate(tmp_path / "data", 24, seed=5, size=96)
    command = [sys.executable, "-m", "training.train", "--dataset", str(tmp_path / "data")]
    command += ["--family", "ssdlite", "--out", str(tmp_path / "out"), "--epochs", "500"]
    for setting in ("input_size=128", "batch_size=4", "workers=2", "refit=true"):
        command += ["--set", setting]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line in process.stdout:
                if line.startswith("epoch   1/500"):
                    break
            family = loaders_of(process)
            assert loaded(process.pid, "torch")
            # These only draw pages, and would delay each training. MarkupSafe is the mapped part of Jinja.
            assert not loaded(process.pid, "matplotlib", "markupsafe")
            process.send_signal(number)
            status = process.wait(60)
            _, alive = psutil.wait_procs(family, timeout=60)
            assert not alive
            message = process.stderr.read()
        finally:
            process.kill()
    if number in AT_ONCE:
        assert status == -number
    else:
        assert status == 128 + number
        assert re.fullmatch(r"loupe: stopped after epoch \d+ of 500; the same command continues\n", message)
    assert (tmp_path / "out/checkpoints/last.pt").exists()


def loaded(pid: int, *libraries: str) -> bool:
    """Return whether a process has imported any of these libraries, which have extension modules."""
    files = Path(f"/proc/{pid}/maps").read_text()
    return any(f"/site-packages/{library}/" in files for library in libraries)


def loaders_of(program: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that prepare batches; each epoch has new ones."""
    end = time.monotonic() + 60
    while program.poll() is None and time.monotonic() < end:
        if len(family := psutil.Process(program.pid).children(recursive=True)) >= 2:
            return family
        time.sleep(0.005)
    raise AssertionError(f"no loader: {program.communicate(timeout=1)}")


PROGRAMS = {
    "train": ["--dataset", "DATA", "--family", "ssdlite", "--out", "OUT"],
    "evaluate": ["--model", str(STARTER), "--dataset", "DATA", "--html", "OUT"],
    "compare": [str(STARTER), str(STARTER), "--dataset", "DATA", "--out", "OUT"],
    "ensemble": [str(STARTER), str(STARTER), "--out", "OUT"],
    "imports": ["DATA", "--out", "OUT"],
    "serve": ["--model", str(STARTER), "--port", "0"],
}


@pytest.mark.parametrize(
    ("program", "number"),
    [
        *((program, signal.SIGINT) for program in PROGRAMS),
        # As SageMaker ends an endpoint; one code handles all signals.
        ("serve", signal.SIGTERM),
        *(
            pytest.param(each, signal.SIGTERM, marks=pytest.mark.nightly)
            for each in PROGRAMS
            if each != "serve"
        ),
    ],
)
def test_a_program_that_is_stopped_says_so_in_one_line_and_writes_nothing(program, number, tmp_path):
    generate(tmp_path / "data", 8, seed=5, size=96)
    places = {"DATA": str(tmp_path / "data"), "OUT": str(tmp_path / "out")}
    options = [places.get(each, each) for each in PROGRAMS[program]]
    command = [sys.executable, "-m", f"training.{program}", *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until_it_handles(process.pid, number)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (128 + number, "")
    assert err.startswith("loupe: stopped")
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def wait_until_it_handles(pid: int, number: int) -> None:
    """Wait until a process has a handler of its own for a signal: Python itself has one for SIGINT only."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
        assert caught is not None
        if int(caught[1], 16) & 1 << (signal.SIGTERM - 1):
            return
        time.sleep(0.005)
    raise AssertionError(f"no handler for {number}")


def test_workers_that_are_killed_while_idle_are_replaced_and_no_image_fails(root):
    with serving(root) as (process, url):
        ready(url)
        # A worker, unlike the process that it is forked from, leads a session.
        family = psutil.Process(process.pid).children(recursive=True)
        workers = [each for each in family if os.getsid(each.pid) == each.pid]
        for each in workers:
            each.kill()
        psutil.wait_procs(workers, timeout=60)
        with ThreadPoolExecutor(8) as clients:
            answers = clients.map(lambda _: get(url + "/invocations", SAMPLE.read_bytes()), range(24))
        assert {status for status, _ in answers} == {200}


def test_a_port_in_use_is_named_in_the_error(root):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(root, port) as (process, message):
            assert process.wait(60) == 1
            assert f"127.0.0.1:{port}" in message
    assert "cannot listen" in (root / "output/failure").read_text()


def test_serve_refuses_an_altered_model(root):
    with (root / "model/model.onnx").open("ab") as file:
        file.write(b"x")
    with serving(root) as (process, message):
        assert process.wait(60) == 1
        assert "was altered" in message


def test_an_evaluation_job_leaves_its_report(tmp_path):
    channels = tmp_path / "input/data"
    (channels / "model").mkdir(parents=True)
    unpack(STARTER, tmp_path / "unpacked")
    pack(tmp_path / "unpacked", channels / "model/model.tar.gz")
    generate(channels / "test", 8, seed=1, size=96)

    done = subprocess.run(
        [sys.executable, "-m", "training.evaluate"],
        cwd=ROOT,
        env=os.environ | {"LOUPE_ML_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    report = json.loads((tmp_path / "output/data/evaluation.json").read_text())
    assert 0 < report["map"] <= report["map50"] <= 1
    assert f"test:map={report['map']}" in done.stdout


@pytest.mark.slow
def test_loupe_train_killed_in_the_middle_continues_after_its_last_epoch(tmp_path: Path) -> None:
    generate(tmp_path / "data", 24, seed=5, size=128)
    command = [str(Path(sys.executable).with_name("loupe")), "train", "--dataset", str(tmp_path / "data")]
    command += ["--family", "ssdlite", "--out", str(tmp_path / "out"), "--epochs", "3"]
    for setting in ("input_size=128", "batch_size=8", "workers=0", "validate_every=1"):
        command += ["--set", setting]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line.startswith("epoch   1/3"):
                os.killpg(first.pid, signal.SIGKILL)
    assert not (tmp_path / "out/model.tar.gz").exists()

    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=True)
    assert "continuing after epoch" in second.stdout
    assert "epoch   1/3" not in second.stdout
    assert "epoch   3/3" in second.stdout
    assert (tmp_path / "out/model.tar.gz").exists()


@contextmanager
def served_by_hand(*options: str, **settings: str) -> Iterator[tuple[subprocess.Popen[str], dict, str]]:
    """Run `python -m training.serve --model …`. Yields the process, its start line, and its address."""
    command = [sys.executable, "-m", "training.serve", "--model", str(STARTER), "--port", "0", "--json"]
    command += options
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        try:
            yield process, started, started["url"]
        finally:
            process.kill()


def ready(url: str, deadline: float = 60) -> dict:
    """Return the answer to /ping once it is 200. Before that it may only be 503."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        status, document = get(url + "/ping")
        if status == 200:
            return document
        assert status == 503
        time.sleep(0.02)
    raise AssertionError("never ready")


@pytest.mark.parametrize("batch", ["1", "4"])
def test_a_model_is_served_by_hand_on_this_machine_alone_with_and_without_batches(batch):
    settings = {"LOUPE_BATCH": batch, "LOUPE_BATCH_WAIT_MS": "30000", "LOUPE_REPORT_SECONDS": "600"}
    with served_by_hand(LOUPE_DEVICE="cpu", **settings) as (process, started, url):
        assert started["host"] == "127.0.0.1"
        assert (started["provider"], started["batch"]) == ("CPUExecutionProvider", int(batch))
        assert ready(url)["model"]["name"] == "starter"
        status, document = get(url + "/invocations", SAMPLE.read_bytes())
        assert (status, document["batch_size"]) == (200, 1)
        assert document["timings_ms"]["wait"] < 20_000  # a lone image does not wait for others

        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stdout is not None
        (line,) = [json.loads(each) for each in process.stdout.read().splitlines()]
        assert (line["Judged"], line["Model"]) == (1, "starter")


def test_a_person_who_serves_a_model_reads_its_address_and_a_command_to_try():
    command = [sys.executable, "-m", "training.serve", "--model", str(STARTER), "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first, curl = process.stdout.readline(), process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert address is not None
        assert first.startswith("Serving starter 225b706abb67-")
        assert curl == (
            f"curl --data-binary @IMAGE.jpg -H 'Content-Type: image/jpeg' {address[0]}/invocations\n"
        )
        tried = subprocess.run(
            shlex.split(curl.replace("IMAGE.jpg", str(SAMPLE))), capture_output=True, check=True
        )
        assert json.loads(tried.stdout)["detections"][0]["label"] == "patches"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (
            ["--port", "TAKEN"],
            1,
            "cannot listen on 127.0.0.1:TAKEN: another program uses this port\n       Take",
        ),
        (
            ["--host", "192.0.2.1"],
            1,
            "cannot listen on 192.0.2.1:8080: this machine does not have this address",
        ),
        (["--port", "80000"], 2, "argument --port: '80000' is not a whole number from 0 to 65535"),
        (["--port", "-1"], 2, "argument --port: '-1' is not a whole number from 0 to 65535"),
        (["--model", "none.tar.gz"], 1, "none.tar.gz: no such file"),
    ],
)
def test_what_cannot_be_served_is_an_error_of_one_form(options, status, reason, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        given = [option.replace("TAKEN", port) for option in options]
        try:
            ended = serve.main(["--model", str(STARTER), *given])
        except SystemExit as usage:
            ended = usage.code
    out, err = capsys.readouterr()
    assert (ended, out) == (status, "")
    assert err.startswith(f"loupe: {reason.replace('TAKEN', port)}")
    assert "/opt/ml" not in err


# As a program, which `test_what_cannot_be_served_is_an_error_of_one_form` tries in this process.
def test_a_missing_gpu_is_an_error_instead_of_a_fallback_to_the_cpu():
    command = [sys.executable, "-m", "training.serve", "--model", str(STARTER), "--port", "0"]
    environment = os.environ | {"LOUPE_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("loupe: LOUPE_DEVICE=cuda, but ")


@pytest.mark.slow
def test_24_megapixels_by_tiles_take_less_than_a_gibibyte(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux reports the peak memory of a process")
    tiled = tmp_path / "tiled.tar.gz"
    tile = [sys.executable, "-m", "training.retile", "--model", str(STARTER), "--size", "1000"]
    subprocess.run([*tile, "--out", str(tiled)], cwd=ROOT, check=True)
    buffer = io.BytesIO()
    Image.new("RGBA", (6000, 4000), (90, 90, 90, 255)).save(buffer, "PNG")
    with served_by_hand("--model", str(tiled), LOUPE_DEVICE="cpu") as (process, started, url):
        ready(url)
        assert started["tiles"]["size"] == 1000
        status, document = get(url + "/invocations", buffer.getvalue())
        assert (status, document["tiles"]) == (200, 40)
        assert peak_mib(psutil.Process(process.pid)) < 1024


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        ({"input_size": 64}, "the input_size of its card is 64"),
        ({"labels": ["dent"], "operating_points": {}}, "scores of 6 classes, model.json has 1 labels"),
        ({"postprocess": {"score_threshold": float("nan")}}, "postprocess.score_threshold must be a number"),
    ],
)
def test_a_model_that_cannot_judge_ends_the_program_with_the_reason(root, poison, reason):
    card = json.loads((root / "model/model.json").read_text())
    (root / "model/model.json").write_text(json.dumps(card | poison))
    with serving(root) as (process, _):
        assert process.wait(60) == 1
    assert reason in (root / "output/failure").read_text()
