"""How large a source may be: whatever is beyond is refused, with an error that names it.

Sources come from outside. A few bytes may stand for any number of values, so each number has a bound that no real
data set comes near to. docs/datasets.md lists them.
"""

from __future__ import annotations

# Of one image, or of one file with labels; of a member of a zip, unpacked. Label files become about ten times as large
# in memory.
FILE_BYTES = 512 << 20
# Of a YAML file: it has the names of classes, and its parser is slow.
YAML_BYTES = 1 << 20
# Of a YAML document, after its aliases are resolved.
YAML_VALUES = 100_000
# Lists and mappings within each other, in YAML. Names of key points are three deep.
YAML_DEPTH = 50
# Of one line in a file that is read line by line: a manifest has one for each image.
LINE_CHARACTERS = 16 << 20
# Of one cell of a table.
CELL_CHARACTERS = 1 << 20
# Files in a zip, and the bytes of its directory.
ZIP_FILES = 500_000
ZIP_DIRECTORY_BYTES = 64 << 20
# What a packed byte becomes at most. Deflate cannot do more; a member that states more is not what it states.
ZIP_RATIO = 1032
# Classes of a data set; boxes of one image.
CLASSES = 20_000
OBJECTS = 10_000
# Numbers in the label of a record of RecordIO.
RECORD_VALUES = 16 * OBJECTS
# Places at which one file has a problem of one kind. Further ones are counted.
PLACES = 1_000
