"""The operator's command, for the laptop and for AWS."""

from __future__ import annotations

import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from contract.inspections import RARE_VERDICTS
from localcloud import LocalCloud, LocalCloudError, connection
from loupe.commands import learning
from loupe.commands import processes as programs
from loupe.commands.options import PASSED_ON, Home, Json, Stack, chosen
from loupe.errors import LoupeError
from loupe.stack import demo as demonstration
from loupe.stack import endpoint as models
from loupe.stack import inspections as reading
from loupe.stack import uploads as dropping
from loupe.stack.alert_inbox import AlertInbox
from loupe.stack.target import Target
from loupe.views import terminal as show

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Visual inspection for the production line: on this laptop, or with --stack on AWS.",
)

app.add_typer(learning.app)
Line = Annotated[str | None, typer.Option(help="The production line.")]


@app.command()
def demo(
    json_: Json = False,
    pictures: Annotated[Path, typer.Option(help="Where the annotated pictures go.")] = Path("loupe-demo"),
) -> None:
    """Sample images through the whole path, in a local cloud of the demo's own."""
    with show.progress() as bar:
        task = bar.add_task("starting", total=None)
        report = demonstration.run(
            pictures,
            on_status=lambda status: bar.update(task, description=status),
            on_total=lambda total: bar.update(task, total=total),
            on_record=lambda _: bar.advance(task),
        )
    summary = report.summary()
    if json_:
        show.as_json(
            {**summary, "records": report.records, "pictures": [str(path) for path in report.pictures]}
        )
    else:
        show.inspections(report.records, "Verdicts")
        if report.alerts:
            show.out.print(
                f"\nOne of {len(report.alerts)} alerts, as a subscriber of the defects topic gets it:"
            )
            show.alert(report.alerts[0])
        show.out.print(f"Annotated pictures: {pictures.resolve()} ({len(report.pictures)} files)")
        # The last line is read by programs: no wrapping, no markup.
        sys.stdout.write("demo: " + " ".join(f"{name}={value}" for name, value in summary.items()) + "\n")
    if report.lost or summary["alerts"] != summary["fail"]:
        raise typer.Exit(1)


@app.command()
def up(
    home: Home,
    model: Annotated[
        Path | None, typer.Option(help="A model.tar.gz to serve; the starter model where none serves yet.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="A port on 127.0.0.1; a free one without it.")] = None,
    json_: Json = False,
) -> None:
    """Start the local cloud here, and show alerts as they come, until Ctrl+C or `loupe down`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with show.err.status("starting the local cloud") as status, LocalCloud(home, port) as cloud:
        status.update("deploying template.yaml")
        cloud.deploy()
        target = Target.local(home)
        if model or models.endpoint_status(target) is None:
            models.deploy(target, model or models.STARTER, models.Hosting(), status.update)
        inbox = AlertInbox(target)
        status.stop()
        if json_:
            show.as_json({"endpoint_url": target.endpoint_url, "home": str(home), "outputs": target.outputs})
        else:
            show.out.print(f"Loupe is up on {target.endpoint_url}, its state in {home}.")
            show.out.print("From another shell: loupe drop FOLDER --wait. Alerts show here. Ctrl+C stops it.")
        sys.stdout.flush()
        try:
            _watch(inbox, json_)
        except KeyboardInterrupt:
            show.err.print("stopping; the state stays, and the next `loupe up` goes on from it")


def _watch(inbox: AlertInbox, json_: bool) -> None:
    while True:
        for envelope in inbox.receive(wait_seconds=2):
            if json_:
                show.as_json({"alert": envelope})
            else:
                show.out.print(f"[bold red]ALERT[/] {escape(envelope.get('Subject', ''))}")
            sys.stdout.flush()


@app.command()
def down(home: Home, json_: Json = False) -> None:
    """Stop the local cloud that runs on this home; its state stays."""
    running = connection(home)
    psutil.Process(running.pid).terminate()
    deadline = time.monotonic() + 60
    while running.alive():
        if time.monotonic() > deadline:
            raise LoupeError(f"process {running.pid} did not stop within 60 s", f"kill -9 {running.pid}")
        time.sleep(0.1)
    if json_:
        show.as_json({"stopped": running.pid})
    else:
        show.out.print("The local cloud has stopped.")


@app.command()
def drop(
    paths: Annotated[list[Path], typer.Argument(help="Image files, folders, or zips.")],
    home: Home,
    line: Line = None,
    station: Annotated[str | None, typer.Option(help="The station on the line.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the images to their verdicts.")] = False,
    patience: Annotated[float, typer.Option(help="With --wait: seconds without a new record.", min=1)] = 120,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Upload images as a camera would. Line and station come from the last two folders, or the options."""
    target = chosen(stack, home)
    sources, passed_over = dropping.find_images(paths, line, station)
    with show.progress() as bar:
        task = bar.add_task("uploading", total=len(sources))
        dropped = dropping.upload(target, sources, lambda _: bar.advance(task))
        found: dict[tuple[str, str], reading.Inspection] = {}
        if wait:
            task = bar.add_task("inspecting", total=len(dropped))
            found = dropping.follow(target, dropped, lambda _: bar.advance(task), patience)
    lost = len(dropped) - len(found) if wait else 0
    if json_:
        result: dict[str, Any] = {"dropped": len(dropped), "passed_over": passed_over}
        if wait:
            records = [found[key] for item in dropped if (key := (item.image, item.version_id)) in found]
            result |= {"lost": lost, "records": records}
        else:
            result["images"] = [{"image": item.image, "version_id": item.version_id} for item in dropped]
        show.as_json(result)
    else:
        if found:
            show.inspections(found.values(), "Verdicts")
        show.out.print(f"{len(dropped)} images dropped, {passed_over} other files passed over.")
    if lost:
        raise LoupeError(
            f"{lost} of {len(dropped)} images have no record after {patience:.0f} s without news",
            "Is there an endpoint (loupe deploy MODEL)? See the alarms and the dead-letter queue.",
        )


@app.command()
def inspections(
    home: Home,
    line: Line = None,
    verdict: Annotated[str | None, typer.Option(help="pass, fail, review or unreadable.")] = None,
    since: Annotated[str, typer.Option(help="15m, 2h, 7d ago, or an ISO 8601 time.")] = "24h",
    until: Annotated[str, typer.Option(help="As --since.")] = "0s",
    limit: Annotated[int, typer.Option(min=1)] = 50,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Inspections, newest first: of a line, or everywhere those that need a person."""
    if verdict not in (None, "pass", *RARE_VERDICTS):
        raise LoupeError(f"{verdict!r} is no verdict", "Say pass, fail, review or unreadable.")
    now = datetime.now(UTC)
    begin, end = reading.moment(since, now), reading.moment(until, now)
    records = reading.query(
        chosen(stack, home), line=line, verdict=verdict, since=begin, until=end, limit=limit
    )
    if json_:
        show.as_json({"inspections": records, "count": len(records)})
        return
    which = verdict or ("all verdicts" if line else "fail, review and unreadable (passes: --line NAME)")
    show.inspections(records, f"{line or 'All lines'}, {which}, since {begin:%Y-%m-%d %H:%M} UTC")


@app.command()
def deploy(
    model: Annotated[Path, typer.Argument(help="A model.tar.gz.")],
    home: Home,
    image_uri: Annotated[str | None, typer.Option(help="On AWS: the serving container in ECR.")] = None,
    instance_type: Annotated[str, typer.Option(help="On AWS.")] = models.Hosting.instance_type,
    instance_count: Annotated[int, typer.Option(help="On AWS.", min=1)] = 1,
    inference_ami_version: Annotated[
        str | None, typer.Option(help="On AWS: the host image, for a container of CUDA 12.4 or newer.")
    ] = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Put a model behind the endpoint; the old one serves until the new one is ready."""
    if stack and not image_uri:
        raise LoupeError(
            "on AWS the endpoint needs the serving container", "Add --image-uri (docs/deploy.md)."
        )
    hosting = models.Hosting(
        image_uri or models.LOCAL_IMAGE_URI, instance_type, instance_count, inference_ami_version
    )
    target = chosen(stack, home)
    with show.err.status("deploying") as status:
        name = models.deploy(target, model, hosting, status.update)
    if json_:
        show.as_json({"endpoint": target.output("EndpointName"), "model": name})
    else:
        show.out.print(f"{target.output('EndpointName')} serves {name}.")


@app.command(add_help_option=False, context_settings=PASSED_ON)
def train(context: typer.Context) -> None:
    """Train a detector: --dataset PATH --family NAME --out DIR [--epochs N] [--pretrained PATH]."""
    programs.need_torch()
    raise typer.Exit(programs.run("training.train", context.args))


@app.command(add_help_option=False, context_settings=PASSED_ON)
def ensemble(context: typer.Context) -> None:
    """Join several models into one that judges as their mean: MODEL MODEL… --out FILE [--dataset PATH]."""
    programs.need_torch()
    raise typer.Exit(programs.run("training.ensemble", context.args))


@app.command(add_help_option=False, context_settings=PASSED_ON)
def evaluate(context: typer.Context) -> None:
    """How good a model is: --model PATH.tar.gz --dataset PATH [--html FILE] [--rules FILE] [--json]."""
    raise typer.Exit(programs.run("training.evaluate", context.args))


@app.command(add_help_option=False, context_settings=PASSED_ON)
def compare(context: typer.Context) -> None:
    """Which model is better, how surely, and at what cost: --dataset PATH MODEL… [--html FILE] [--json]."""
    raise typer.Exit(programs.run("training.compare", context.args))


@app.command(add_help_option=False, context_settings=PASSED_ON)
def serve(context: typer.Context) -> None:
    """A model's endpoint on this machine, as SageMaker runs it: --model PATH.tar.gz --port N."""
    raise typer.Exit(programs.run("training.serve", context.args))


@app.command(context_settings=PASSED_ON)
def bench(context: typer.Context) -> None:
    """Benchmarks: `loupe bench inspect [--json]` measures the inspection path on this machine."""
    names = sorted(path.stem.removeprefix("bench_") for path in Path("benchmarks").glob("bench_*.py"))
    if not context.args or context.args[0] not in names:
        there = ", ".join(names) or "none in this folder"
        raise LoupeError("no such benchmark", f"Run it from the repository's root; there are: {there}.")
    raise typer.Exit(programs.run(f"benchmarks.bench_{context.args[0]}", context.args[1:]))


def main() -> None:
    """Run the command; what the user can put right is said in two lines, and exits with 1."""
    try:
        app()
    except (LoupeError, LocalCloudError) as error:
        hint = getattr(error, "hint", "")
        show.err.print(f"[bold red]loupe:[/] {escape(str(error))}", soft_wrap=True)
        if hint:
            show.err.print(f"       {escape(hint)}", soft_wrap=True)
        sys.exit(1)
    except (BotoCoreError, ClientError) as error:
        show.err.print(f"[bold red]loupe:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
