"""The picture of the retrain state machine in docs/retrain.md is drawn from its definition."""

import copy
from pathlib import Path

import pytest

from statemachine.definition import Definition, load, scopes, transitions
from statemachine.picture import BEGIN, END, PAGE, main, on_page, picture

DEFINITION = load()


def test_the_page_shows_the_definition_as_it_is() -> None:
    page = PAGE.read_text()
    assert on_page(page, picture(DEFINITION)) == page, "draw it again: python -m statemachine.picture"


def test_every_state_is_drawn_and_every_transition_without_a_failure() -> None:
    lines = [line.strip() for line in picture(DEFINITION).splitlines()]
    for scope in scopes(DEFINITION):
        for name in scope.states:
            assert any(
                line.startswith((f"{name}[", f"{name}(", f"{name}{{", f"subgraph {name}[")) for line in lines
            )
        for transition in transitions(scope.states):
            if transition.kind == "next":
                assert f"{transition.source} --> {transition.target}" in lines


@pytest.mark.parametrize("state", ["Retract", "Explain", "CandidateFailed"])
def test_a_failure_target_that_many_states_share_is_drawn_once(state: str) -> None:
    assert picture(DEFINITION).count(f"-.-> {state}\n") == 1


def test_another_transition_gives_another_picture() -> None:
    other: Definition = copy.deepcopy(DEFINITION)
    other["States"]["Live"]["Next"] = "Notice"
    assert "Live --> Notice" in picture(other)
    other["States"]["Better"]["Choices"][0]["Comment"] = "it wins"
    assert 'Better -->|"it wins"| Register' in picture(other)


def test_the_first_drawing_adds_the_second_marker_and_the_next_drawing_replaces_the_first() -> None:
    first = on_page(f"above\n{BEGIN}\nbelow\n", "one\n")
    assert first.startswith(f"above\n{BEGIN}\n```mermaid\none\n```\n")
    assert first.endswith(f"{END}\nbelow\n")
    second = on_page(first, "two\n")
    assert second == first.replace("one\n", "two\n")


def test_a_page_without_a_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="state machine picture"):
        on_page("above\n", "one\n")


def test_the_command_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "retrain.md"
    page.write_text(f"{BEGIN}\n")
    monkeypatch.setattr("statemachine.picture.PAGE", page)
    main()
    assert picture(DEFINITION) in page.read_text()
