"""What is sent to CloudFormation."""

import os
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from localcloud import DeployError
from localcloud.deploy import lasting_parameters, package, read_template, set_local_substitutions
from localcloud.sources import PACKAGES


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / name.replace("__", "/").replace("_py", ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def test_the_same_sources_make_the_same_package(tmp_path: Path) -> None:
    one = write(tmp_path / "one", handlers__inspect_py="a = 1", inspection__rules_py="b = 2")
    two = write(tmp_path / "two", inspection__rules_py="b = 2", handlers__inspect_py="a = 1")
    os.utime(two / "handlers" / "inspect.py", (0, 0))
    (two / "handlers" / "inspect.py").chmod(0o600)
    assert package(one) == package(two)
    assert package(one) != package(write(two, inspection__rules_py="b = 3"))


def test_a_package_holds_sources_only(tmp_path: Path) -> None:
    write(tmp_path, handlers__inspect_py="a = 1", requirements="pillow")
    (tmp_path / ".hidden").write_text("secret")
    (tmp_path / "handlers" / "__pycache__").mkdir()
    (tmp_path / "handlers" / "__pycache__" / "inspect.pyc").write_bytes(b"")
    names = set(zipfile.ZipFile(BytesIO(package(tmp_path))).namelist())
    contract = {name for name in names if name.startswith("contract/")}
    assert names - contract == {"handlers/inspect.py", "requirements"}
    assert contract == {
        f"contract/{file.name}" for file in (PACKAGES / "contract").iterdir() if file.is_file()
    }


def test_the_short_forms_of_a_template_are_written_out(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text("Resources:\n  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub '${A}-q'}}\n")
    assert read_template(file)["Resources"]["Q"]["Properties"] == {"QueueName": {"Fn::Sub": "${A}-q"}}


def test_on_a_laptop_a_swap_is_watched_every_second() -> None:
    template = read_template(Path(__file__).parents[3] / "template.yaml")
    on_aws = template["Resources"]["RetrainStateMachine"]["Properties"]["DefinitionSubstitutions"]
    assert on_aws["PollSeconds"] == "20"
    expected = on_aws | {"PollSeconds": "1", "AlarmSeconds": "5"}
    set_local_substitutions(template)
    assert on_aws == expected


def test_a_template_without_a_state_machine_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text("Resources:\n  Q: {Type: AWS::SQS::Queue}\n")
    template = read_template(file)
    set_local_substitutions(template)
    assert template == read_template(file)


def test_no_template_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="No template"):
        read_template(tmp_path / "template.yaml")
    (tmp_path / "template.yaml").write_text("- a list")
    with pytest.raises(DeployError, match="not a CloudFormation template"):
        read_template(tmp_path / "template.yaml")
    (tmp_path / "template.yaml").write_text("Resources: [")
    with pytest.raises(DeployError, match="is not YAML"):
        read_template(tmp_path / "template.yaml")


def test_a_stack_keeps_what_says_where_its_records_and_buckets_are() -> None:
    deployed = {"IndexShards": "8", "RulesCacheSeconds": "30", "UniquePart": "first"}
    listed = [{"ParameterKey": name, "ParameterValue": value} for name, value in deployed.items()]
    assert lasting_parameters({"StackStatus": "UPDATE_ROLLBACK_COMPLETE", "Parameters": listed}) == {
        "IndexShards": "8",
        "UniquePart": "first",
    }


def test_a_stack_from_before_the_choice_of_names_keeps_its_names() -> None:
    assert lasting_parameters({"StackStatus": "UPDATE_COMPLETE", "Parameters": []}) == {"UniquePart": "last"}
    assert lasting_parameters(None) == {}
    assert lasting_parameters({"StackStatus": "REVIEW_IN_PROGRESS", "Parameters": []}) == {}
