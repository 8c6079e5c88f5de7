"""Reads CloudFormation templates, whose short forms (!Ref, !Sub, ...) YAML itself does not know."""

from typing import Any

import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor

# A safe loader that writes short forms in full. libyaml, where PyYAML was built with it, reads template.yaml in a tenth
# of the time that Python takes.
_Loader: Any = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


def parse(text: str) -> Any:
    """Return the content of a template, with its short forms written in full.

    Args:
        text: The template as YAML.

    Raises:
        yaml.YAMLError: If it is not YAML.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
