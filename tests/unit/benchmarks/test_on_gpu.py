"""benchmarks/on_gpu.sh and its parts, on the CPU and at toy size."""

import argparse
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks import null_model
from benchmarks.gpu import bare, check, lines, serve, train
from training.model.artefact import MODEL, unpack

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "benchmarks/on_gpu.sh"
WITHOUT_GPU = pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is a GPU")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return null_model.write(tmp_path / "null.tar.gz", score=0.25)


def on_cpu(model: Path, *options: str) -> list[str]:
    return ["--model", str(model), "--provider", "cpu", "--device", "cpu", "--seconds", "0.05", *options]


# ---------------------------------------------------------------- lines and table


def test_each_figure_is_a_line_at_once_and_the_table_shows_all_parts(tmp_path: Path) -> None:
    lines.Lines(tmp_path, "check").add("machine", value="x86_64")
    lines.Lines(tmp_path, "bare").add("run, batch 1", images_per_s=812.5, p50_ms=1.23)
    lines.Lines(tmp_path, "bare").skipped("CUDA graph", "no | CUDA\nhere")
    lines.Lines(tmp_path, "endpoint").add(
        "batch 8", images_per_s=700.0, p50_ms=2.0, p99_ms=3.0, share_of_bare=0.861
    )
    lines.main([str(tmp_path)])
    table = (tmp_path / "table.md").read_text()
    assert "- machine: x86_64\n" in table
    assert "| run, batch 1 | 812.5 | 1.23 |  |\n" in table
    assert "| CUDA graph |  |  | skipped: no / CUDA here |\n" in table
    assert "| batch 8 | 700 | 86% | 2 | 3 |  |\n" in table


def test_a_line_that_a_kill_has_cut_short_is_left_out(tmp_path: Path) -> None:
    lines.Lines(tmp_path, "bare").add("run", images_per_s=1.0)
    with (tmp_path / "lines.jsonl").open("a") as file:
        file.write('{"part": "bare", "wha')
    assert [line["what"] for line in lines.read(tmp_path)] == ["run"]


def test_a_part_that_was_killed_says_so_in_the_table(tmp_path: Path) -> None:
    lines.main([str(tmp_path), "--note", "train", "it took more than 5 s"])
    assert "failed: it took more than 5 s" in (tmp_path / "table.md").read_text()


# ---------------------------------------------------------------- bare inference


@pytest.mark.parametrize("binding", ["none", "io"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_binding_gives_figures(
    binding: str, batch: int, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bare.main(on_cpu(model, "--binding", binding, "--batch", str(batch))) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["images_per_s"] > 0
    assert figures["p50_ms"] >= 0


def test_every_binding_answers_the_same(model: Path, tmp_path: Path) -> None:
    unpack(model, tmp_path / "model")
    pixels = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    answers: list[Any] = []
    for binding in ("none", "io"):
        options = argparse.Namespace(provider="cpu", binding=binding, batch=2, half=False)
        run = bare.runner(bare.session_of(tmp_path / "model" / MODEL, options), pixels, options)
        run()
        answers.append(run())
    for left, right in zip(*answers, strict=True):
        assert np.array_equal(left, right)
    assert float(answers[0][1].max()) == pytest.approx(0.25)


def test_decoding_and_running_in_threads_gives_figures(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # To draw the benchmark's images takes seconds.
    jpeg = io.BytesIO()
    Image.new("RGB", (80, 60)).save(jpeg, "JPEG")
    monkeypatch.setattr("benchmarks.serve_images.steel", lambda: [jpeg.getvalue()])
    assert bare.main(on_cpu(model, "--decode", "2", "--batch", "2")) == 0
    assert json.loads(capsys.readouterr().out)["images_per_s"] > 0


@WITHOUT_GPU
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--binding", "graph"], "needs CUDA"),
        (["--provider", "tensorrt"], "no Tensorrt"),
        (["--provider", "cuda"], "no CUDA"),
    ],
)
def test_what_cannot_run_here_says_why(
    options: list[str], reason: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bare.main(on_cpu(model, *options)) == 1
    error = capsys.readouterr().err
    assert error.startswith("VariantError: ")
    assert reason in error


# ---------------------------------------------------------------- the endpoint's part


def test_the_most_important_cases_come_first_and_every_batch_is_measured() -> None:
    found = serve.cases("cuda", (1, 4, 8, 16, 32), cores=16)
    assert found[0].what.startswith("decode and run")
    assert "TensorRT" in found[-1].what
    for batch in (1, 4, 8, 16, 32):
        assert f"run, batch {batch}" in {case.what for case in found}
    assert {"IO binding, batch 32", "CUDA graph, batch 1"} <= {case.what for case in found}
    for case in found:
        bare._parser().parse_args(["--model", "m", *case.options])


def test_a_case_that_hangs_or_crashes_is_a_line_and_not_the_end(tmp_path: Path) -> None:
    written = lines.Lines(tmp_path, "bare")
    case = serve.Case("crashes", ("--provider", "cpu"))
    assert serve.measure_bare(case, tmp_path / "missing.tar.gz", 0.1, serve.Clock.of(60), written) == 0
    case = serve.Case("hangs", ("--provider", "cpu"))
    assert serve.measure_bare(case, tmp_path / "missing.tar.gz", 0.1, serve.Clock.of(0.01), written) == 0
    assert [(line["what"], line["state"]) for line in lines.read(tmp_path)] == [
        ("crashes", "failed"),
        ("hangs", "failed"),
    ]


def test_what_there_is_no_time_for_is_written_as_skipped(model: Path, tmp_path: Path) -> None:
    options = ["--model", str(model), "--out", str(tmp_path / "out"), "--device", "cpu", "--seconds", "0"]
    assert serve.main(options) == 0
    found = lines.read(tmp_path / "out")
    assert {line["part"] for line in found} == {"bare", "endpoint"}
    assert {line["why"] for line in found} == {"no time left"}


# ---------------------------------------------------------------- the machine's part


@WITHOUT_GPU
def test_a_machine_without_a_gpu_is_refused_for_cuda_and_described_for_the_cpu(tmp_path: Path) -> None:
    assert check.main(["--out", str(tmp_path), "--device", "cuda"]) == 1
    assert "no GPU" in lines.read(tmp_path)[-1]["why"]
    assert check.main(["--out", str(tmp_path), "--device", "cpu"]) == 0


# ---------------------------------------------------------------- the training's part


@given(st.floats(0.1, 500), st.floats(0, 3600))
def test_a_run_gets_as_many_epochs_as_fit(epoch: float, left: float) -> None:
    epochs, cycles = train.fitting(epoch, left, train.BEST)
    assert epochs >= 1
    whole = epochs + 2 * cycles
    assert whole == 1 or whole * epoch <= left - train.BEST.evaluating


# ---------------------------------------------------------------- the script


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fast"], "there is no option --fast"),
        (["--minutes"], "--minutes needs a value"),
        (["--minutes", "soon"], "--minutes soon is no number"),
        (["--device", "tpu"], "--device tpu is neither cuda nor cpu"),
        (["--parts", "check,cook"], "--parts check,cook"),
        (["--dataset", "/missing.zip"], "there is no file /missing.zip"),
    ],
)
def test_the_script_refuses_what_it_does_not_know_and_says_what_to_do(
    options: list[str], message: str
) -> None:
    done = subprocess.run(["bash", SCRIPT, *options], capture_output=True, text=True)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first == f"on_gpu.sh: {message}"
    assert second.startswith(" " * 11)


def test_the_script_lists_its_options() -> None:
    done = subprocess.run(["bash", SCRIPT, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--prepare" in done.stdout


def test_the_script_says_which_interpreter_it_needs() -> None:
    command = ["bash", SCRIPT, "--python", "/missing/python", "--train-python", "/missing/python"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "on_gpu.sh: /missing/python does not run",
        "           Give an interpreter that has requirements/serve-gpu.txt: --python PROGRAM.",
    ]


def at_toy_size(model: Path, out: Path, parts: str) -> list[dict[str, Any]]:
    """Run the script, and return its lines."""
    command = ["bash", str(SCRIPT), "--toy", "--device", "cpu", "--model", str(model), "--out", str(out)]
    command += [
        "--python",
        sys.executable,
        "--train-python",
        sys.executable,
        "--parts",
        parts,
        "--minutes",
        "4",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return lines.read(out)


@pytest.mark.slow
def test_the_script_measures_the_endpoint_beside_bare_inference_at_toy_size(
    model: Path, tmp_path: Path
) -> None:
    found = at_toy_size(model, tmp_path / "out", "check,serve")
    assert {line["part"] for line in found if line["state"] == "ok"} == {"check", "bare", "endpoint"}
    (first, *_) = [line for line in found if line["part"] == "endpoint" and line["state"] == "ok"]
    assert first["images_per_s"] > 0
    assert first["not_200"] == {}
    assert "share of bare" in (tmp_path / "out/table.md").read_text()


@pytest.mark.nightly
def test_the_script_trains_and_evaluates_at_toy_size(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = at_toy_size(model, out, "check,train")
    (trained,) = [line for line in found if "map" in line]
    assert 0 <= trained["map"] <= 1
    assert json.loads((out / "epochs.jsonl").read_text().splitlines()[0])["event"]
    assert (out / "train/model.tar.gz").is_file()
    assert "mAP50" in (out / "table.md").read_text()
