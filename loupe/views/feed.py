"""What `loupe up` prints as it happens, one line for each event."""

from __future__ import annotations

from rich.text import Text

from loupe.stack.alert_inbox import AlarmMessage
from loupe.stack.feed import Event, Inspected
from loupe.views.console import out, print_json
from loupe.views.figures import local_time
from loupe.views.inspections import explanation, styled


def show(event: Event, json_: bool) -> None:
    """Print an event."""
    if json_:
        print_json(_document(event))
        return
    out.print(_line(event), soft_wrap=True)


def _line(event: Event) -> Text:
    if isinstance(event, Inspected):
        record = event.record
        line = Text.assemble(f"{local_time(record['received_at'])} ", styled(f"{record['verdict']}"))
        line.append(f"  {record['line']}/{record['station']}  {record['serial']}  {explanation(record)}")
        if event.picture:
            line.append(f"\n    {event.picture.as_uri()}", "dim")
        return line
    if isinstance(event, AlarmMessage):
        style = "bold red" if event.state == "ALARM" else "green"
        head = Text.assemble(f"{local_time(event.at)} ", (f"alarm {event.state}", style))
        return head.append(f"  {event.name}: {event.reason}")
    head = Text.assemble(f"{local_time(event.at)} ", ("notice", "bold"), f"  {event.subject}")
    return head.append("".join(f"\n    {line}" for line in event.text.splitlines() if line), "dim")


def _document(event: Event) -> dict[str, object]:
    if isinstance(event, Inspected):
        picture = str(event.picture) if event.picture else None
        kind = "alert" if event.alerted else "inspection"
        return {kind: event.record, "picture": picture}
    if isinstance(event, AlarmMessage):
        return {"alarm": {"name": event.name, "state": event.state, "reason": event.reason}}
    return {"notice": {"subject": event.subject, "text": event.text}}
