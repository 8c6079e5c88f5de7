"""The container program `train`.

In a job:  python -m training.train
By hand:   python -m training.train --dataset NEU-DET.zip --family ssdlite --out DIR [--pretrained PATH]

The family says what is learned: a detector from labelled defects, or an anomaly model from pictures of good products.

A job has the channels `train`, `validation` (optional: without it the train channel is split by image hash,
70 % to learn from, 10 % to choose the best epoch, and 20 % left as the test part) and `pretrained`
(optional: weights to start from), and hyperparameters as strings (training/learning/hyperparameters.py). It writes
<root>/model/{model.onnx,model.json}, which SageMaker packs into model.tar.gz. By hand the same happens in
DIR, and DIR/model.tar.gz is packed, too. In both cases a detector's run that was stopped or killed continues after its
last complete epoch. An anomaly model learns from the good pictures of both channels, and starts again.

If there is a channel `champion` (by hand: --beside), a model.tar.gz, its detector is packed beside a new anomaly model,
and its anomaly model beside a new detector.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.job import by_hand
from training.job.container import Container, emit, run
from training.job.hyperparameters import HyperparameterError

if TYPE_CHECKING:
    from training.model.artefact import ModelCard


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job if there are no options, else train by hand. Returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        return run(_job)
    parser = _parser()
    options = parser.parse_args(given)
    return by_hand.run(lambda: _train(options), outcome="the same command continues", again="")


def _parser() -> argparse.ArgumentParser:
    parser = by_hand.Parser(
        prog="loupe train",
        description="Train a detector from labelled defects, or an anomaly model from good pictures alone. After a "
        "stop or a kill, the same command continues a detector's run.",
    )
    parser.add_argument(
        "--dataset",
        type=by_hand.given,
        required=True,
        help="images to learn from: folder, zip, snapshot or s3:// prefix",
    )
    parser.add_argument(
        "--validation",
        type=by_hand.given,
        help="images to validate on (default: a tenth of the data set, by image hash)",
    )
    parser.add_argument(
        "--family", type=by_hand.given, required=True, help="the kind of model (docs/families.md)"
    )
    parser.add_argument(
        "--out",
        type=by_hand.given_path,
        required=True,
        help="folder for checkpoints and the finished model.tar.gz",
    )
    parser.add_argument(
        "--epochs", type=by_hand.whole_number(1), help="number of epochs (default: from the family's recipe)"
    )
    parser.add_argument(
        "--pretrained",
        type=by_hand.given,
        help="file to start from, or a name such as imagenet or coco (needs a network)",
    )
    parser.add_argument(
        "--beside",
        type=by_hand.given_path,
        metavar="MODEL",
        help="model.tar.gz whose detector, or anomaly model, is packed beside the new model",
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any hyperparameter")
    parser.add_argument("--json", action="store_true", help="write JSON lines (docs/models.md)")
    return parser


# torch takes seconds to import. Until a function needs it, options are checked, and a signal already ends in words.


def _job(container: Container) -> None:
    _make(container)


def _train(options: argparse.Namespace) -> int:
    container = _container_by_hand(options)
    from training.model.artefact import pack

    card = _make(container, by_hand=True, json_lines=options.json)
    artefact = pack(options.out / "model", options.out / "model.tar.gz")
    if options.json:
        emit("artefact", {"path": str(artefact), "name": card.name, "version": card.version})
    else:
        sys.stdout.write(_closing(artefact, card, options))
    return 0


def _make(container: Container, *, by_hand: bool = False, json_lines: bool = False) -> ModelCard:
    """Run the job, and pack what the model of the channel `champion` has beside the new one."""
    from training.learning.pairing import check_champion, forget_other_half, keep_other_half

    champion = container.channel("champion")
    if champion is not None:
        check_champion(Path(champion))
    forget_other_half(container.model)
    card = _learn(container, by_hand=by_hand, json_lines=json_lines)
    both = None if champion is None else keep_other_half(container.model, Path(champion))
    if both is None:
        return card
    if json_lines or not by_hand:
        named = {"name": both.name, "version": both.version, "anomaly_model": both.anomaly_model}
        emit("both", named)
    return both


def _learn(container: Container, *, by_hand: bool = False, json_lines: bool = False) -> ModelCard:
    """Run the job of the container's family. By hand, its reports are for a person, or JSON lines."""
    from training.detectors.registry import kind

    family = container.hyperparameters().get("family")
    if family is not None and kind(family) == "anomaly":
        from training.learning.anomalies.progress import Readable as ReadableLearning
        from training.learning.anomalies.run import learn
        from training.learning.progress import JsonLines

        return learn(container, None if not by_hand else JsonLines() if json_lines else ReadableLearning())
    from training.learning.progress import JsonLines, Readable
    from training.learning.run import train

    return train(container, None if not by_hand else JsonLines() if json_lines else Readable())


def _closing(artefact: Path, card: ModelCard, options: argparse.Namespace) -> str:
    """Return what was made, and the commands that come next."""
    evaluate = ["loupe", "evaluate", "--model", str(artefact), "--dataset", options.dataset]
    return (
        f"\nMade {artefact}: {card.name} {card.version}, {_content(card)}\n"
        f"Evaluate it: {shlex.join(evaluate)}\n"
        f"Deploy it:   {shlex.join(['loupe', 'deploy', str(artefact)])}\n"
    )


def _content(card: ModelCard) -> str:
    if card.anomaly is None:
        labels = f"{len(card.labels)} labels"
        beside = card.anomaly_model
        return f"{labels}, with the anomaly model {beside['name']} beside it" if beside else labels
    return f"an anomaly model that remembers {card.dataset['train']} good pictures"


def _container_by_hand(options: argparse.Namespace) -> Container:
    """Return the job that the options describe, in the folder `--out`.

    Raises:
        HyperparameterError: A setting is not of the form NAME=VALUE, or is given twice.
    """
    settings, options_of = {"family": options.family}, {"family": "--family"}
    if options.epochs is not None:
        settings["epochs"], options_of["epochs"] = str(options.epochs), "--epochs"
    channels: dict[str, Path | str] = {"train": options.dataset}
    if options.validation is not None:
        channels["validation"] = options.validation
    if options.beside is not None:
        channels["champion"] = options.beside
    if options.pretrained is not None and Path(options.pretrained).exists():
        channels["pretrained"] = Path(options.pretrained)
        options_of["weights"] = "--pretrained"
    elif options.pretrained is not None:
        settings["weights"], options_of["weights"] = options.pretrained, "--pretrained"
    for setting in options.set:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise HyperparameterError(f"--set {setting!r} is not of the form NAME=VALUE")
        if name in options_of:
            raise HyperparameterError(
                f"{options_of[name]} and --set {setting} both set {name}", hint="Leave one of them out."
            )
        settings[name], options_of[name] = value, f"--set {setting}"

    def called(name: str, value: str) -> str:
        option = options_of[name]
        return option if option.startswith("--set ") else f"{option} {value}"

    return Container(options.out, channels, {"name": options.family} | settings, called)


if __name__ == "__main__":
    raise SystemExit(main())
