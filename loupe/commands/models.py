"""The model behind the endpoint: `deploy`, `models` and `rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loupe.commands import interrupts
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target, target_options
from loupe.errors import LoupeError
from loupe.stack import deployment, endpoint, hours, registry, rules, trial
from loupe.stack.deployment import Hosting
from loupe.stack.rollback import rollback as roll_back
from loupe.views.console import err, out, print_json
from loupe.views.versions import show_versions

app = commands()


@app.command(
    epilog=epilog(
        "loupe deploy runs/first/model.tar.gz",
        "loupe deploy model.tar.gz --stack loupe",
        "loupe deploy model.tar.gz --stack loupe --instance-type ml.c6i.xlarge --image-uri $REGISTRY/loupe/serve:1.2",
    )
)
def deploy(
    model: Annotated[Path, typer.Argument(help="A model.tar.gz.")],
    home: Home,
    image_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="The serving container. Without it: the stack's.")
    ] = None,
    instance_type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Without it: the stack's HostingInstanceType.")
    ] = None,
    instance_count: Annotated[
        int | None,
        typer.Option(help="Without it: as many as now; at first the stack's EndpointMinInstances.", min=1),
    ] = None,
    inference_ami_version: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The host's machine image. Without it: what the instance type needs."
        ),
    ] = None,
    golden: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="A picture that shows a defect, or a folder of them; repeatable."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Serve a model that finds nothing on the golden pictures, or a container that does not suit the "
            "instance type.",
        ),
    ] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Serve a model from a file.

    First the model is asked about golden pictures, which show its defects: those of --golden, or those that its
    training has put into the file. If it finds nothing, it does not go live. The current one serves until the new one
    is ready.
    """
    target = open_target(stack, home)
    hosting = Hosting.of(target, image_uri, instance_type, instance_count, inference_ami_version)
    if not force and (problem := hosting.unsuitable()):
        raise LoupeError(
            problem, "Choose the other container (--image-uri), another --instance-type, or add --force."
        )
    with err.status("asking the model about its golden pictures") as status:
        tried = trial.run(model, golden or [], force)
        with interrupts.explained(*_switch_goes_on(stack, home)):
            name = deployment.deploy(
                target,
                model,
                hosting,
                status.update,
                trial=tried.text,
                keep_instance_count=not instance_count,
            )
    if json_:
        outcome = {
            "pictures": tried.pictures,
            "found": tried.found,
            "passed": tried.passed,
            "text": tried.text,
        }
        print_json({"endpoint": target.output("EndpointName"), "model": name, "trial": outcome})
    else:
        out.print(f"{target.output('EndpointName')} serves {name} ({tried.text}).", soft_wrap=True)
        if opens := hours.closed_until(target):
            out.print(
                f"It is outside its hours: it rests again within five minutes, and serves this model from "
                f"{opens:%a %d %b, %H:%M} on. To let it run: loupe endpoint start{target_options(stack, home)}",
                soft_wrap=True,
            )
        if command := rules.command_for_model(model, target_options(stack, home)):
            out.print(f"To judge by its own operating points: {command}", soft_wrap=True)


def _switch_goes_on(stack: str | None, home: Path) -> tuple[str, str]:
    return (
        "Stopped waiting. The endpoint serves its current model; a switch that has begun goes on without you.",
        f"See which one serves: loupe models{target_options(stack, home)}",
    )


@app.command("models", epilog=epilog("loupe models", "loupe models --json | jq '.versions[0]'"))
def list_versions(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """List the model's versions, and which one serves.

    The newest is first. What serves is read from the endpoint.
    """
    target = open_target(stack, home)
    current = endpoint.describe(target)
    versions = registry.versions(target, current)
    group = target.output("ModelPackageGroupName")
    endpoint_model = current.model_name if current else None
    tried = deployment.trial_of(target, current.model) if current else None
    if json_:
        documents = [version.document() for version in versions]
        print_json(
            {"group": group, "endpoint_model": endpoint_model, "endpoint_trial": tried, "versions": documents}
        )
    else:
        show_versions(versions, group, endpoint_model)
        if tried:
            out.print(f"Its trial: {tried}.", soft_wrap=True)


@app.command(epilog=epilog("loupe rollback", "loupe rollback 3", "loupe rollback 3 --keep-rules"))
def rollback(
    home: Home,
    version: Annotated[
        int | None, typer.Argument(help="Without it: the model that served before.", min=1)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Accept a version that is not approved.")] = False,
    keep_rules: Annotated[
        bool, typer.Option("--keep-rules", help="Leave the rules for the verdict as they are.")
    ] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Return to an earlier version.

    The current one serves until that one is ready. The rules that were in force with that version return too,
    unless a person has changed them since.
    """
    target = open_target(stack, home)
    with err.status("rolling back") as status, interrupts.explained(*_switch_goes_on(stack, home)):
        result = roll_back(target, version, force, status.update, keep_rules=keep_rules)
    name = target.output("EndpointName")
    if json_:
        document = {"endpoint": name, "model": result.model, "version": result.version}
        outcome = result.rules.document() if result.rules else None
        print_json(document | {"changed": result.changed, "rules": outcome})
        return
    model = f"version {result.version} ({result.model})" if result.version else result.model
    verb = "serves" if result.changed else "already served"
    out.print(f"{name} {verb} {model}.", soft_wrap=True)
    for sentence in result.rules.sentences(target_options(stack, home)) if result.rules else []:
        out.print(sentence, soft_wrap=True)
