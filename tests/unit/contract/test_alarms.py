"""The names of alarms: those of the template belong to their stack, and to no other."""

from contract.alarms import belongs
from localcloud.deploy import read_template
from localcloud.sources import REPOSITORY


def test_every_alarm_of_the_template_belongs_to_its_stack_and_not_to_one_whose_name_it_begins_with() -> None:
    resources = read_template(REPOSITORY / "template.yaml")["Resources"]
    alarms = [name for name, resource in resources.items() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    assert alarms
    for alarm in alarms:
        for stack in ("loupe", "loupe-2"):
            assert belongs(f"{stack}-{alarm}-1WKS4P0LKXIIG", stack)
        assert not belongs(f"loupe-2-{alarm}-1WKS4P0LKXIIG", "loupe")
