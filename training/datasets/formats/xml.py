"""XML label files, read safely, in any encoding that Python knows."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files

_DECLARATION = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)[\"'][^>]*\?>")
_DECLARATION_BYTES = 1024
# What expat reads itself.
_BUILT_IN = {"utf-8", "utf8", "utf-16", "iso-8859-1", "us-ascii", "ascii"}
# The later standard has all characters of the earlier ones.
_LATER = {"gb2312": "gb18030", "gbk": "gb18030"}


def read_xml(files: Files, file: str, problems: Problems) -> Element | None:
    """Return the root of an XML file; None, with a problem, if it is not readable."""
    try:
        return _parse(files.read(file))
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        problems.report("bad-annotation", file, f"is not readable XML: {error}")
    except DatasetError as error:
        problems.report("bad-annotation", file, str(error).removeprefix(f"{file}: "))
    return None


def _parse(data: bytes) -> Element:
    declared = _DECLARATION.match(data[:_DECLARATION_BYTES])
    encoding = declared[1].decode("ascii", "replace").lower() if declared else "utf-8"
    if declared is None or encoding in _BUILT_IN:
        return fromstring(data)
    # expat knows no encoding with several bytes for a character, but Python does.
    return fromstring(data[declared.end() :].decode(_LATER.get(encoding, encoding)))
