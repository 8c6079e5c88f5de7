"""A processing program: counts its input's bytes; its arguments say how it behaves."""

import argparse
import os
import pathlib
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--input", type=pathlib.Path)
parser.add_argument("--output", type=pathlib.Path)
parser.add_argument("--seconds", type=float, default=0)
parser.add_argument("--fail")
parser.add_argument("--times", type=int, default=1)
options = parser.parse_args()
root = pathlib.Path(os.environ["LOUPE_ML_ROOT"])
if options.fail:
    # Nobody reads this one of a processing job.
    (root / "output/failure").write_text("unread")
    (root / "output/message").write_bytes(options.fail.encode(errors="surrogateescape") * options.times)
    sys.exit(1)
total = sum(file.stat().st_size for file in options.input.rglob("*") if file.is_file())
(options.output / "report.txt").write_text(f"{total} bytes for {os.environ['COLOUR']}")
(root / "output/message").write_text("counted")
sys.stdout.write("counted\n")
time.sleep(options.seconds)
