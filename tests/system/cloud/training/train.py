"""A training program that learns nothing; its hyperparameters say how it behaves."""

import json
import os
import pathlib
import signal
import sys
import time

ROOT = pathlib.Path(os.environ["LOUPE_ML_ROOT"])
SETTINGS = json.loads((ROOT / "input/config/hyperparameters.json").read_text())

if "ignore_sigterm" in SETTINGS:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
# A program whose checkpoints may be beside those of other jobs writes them under its own name.
own = os.environ["TRAINING_JOB_NAME"] if "own_checkpoints" in SETTINGS else ""
checkpoint = ROOT / "checkpoints" / own / "epoch"
checkpoint.parent.mkdir(exist_ok=True)
first = int(checkpoint.read_text()) if checkpoint.exists() else 0
sys.stdout.write(f"starting after epoch {first} with {sys.argv[1:]}\n")
if "fail" in SETTINGS:
    (ROOT / "output" / "failure").write_text(SETTINGS["fail"])
    sys.exit(3)
rate = float(SETTINGS.get("learning_rate", 0.1))
for epoch in range(first + 1, int(SETTINGS.get("epochs", 2)) + 1):
    time.sleep(float(SETTINGS.get("seconds", 0)))
    value = (1 - abs(rate - 0.3)) * epoch / (epoch + 1)
    sys.stdout.write(f"epoch={epoch} val:map={value} val:loss=1e-{epoch}\n")
    temporary = checkpoint.with_suffix(".part")
    temporary.write_text(str(epoch))
    temporary.replace(checkpoint)
    # A job that a test interrupts waits for it here; once it continues, it runs to its end.
    if first == 0 and epoch == int(SETTINGS.get("pause_after", 0)):
        sys.stdout.write("paused\n")
        while True:
            time.sleep(600)
report = {
    "job": os.environ["TRAINING_JOB_NAME"],
    "role": os.environ["AWS_ACCESS_KEY_ID"][:4],
    "started_after": first,
    "arguments": sys.argv[1:],
    "hyperparameters": SETTINGS,
    "environment": os.environ.get("COLOUR"),
    "channels": {
        channel.name: {
            file.relative_to(channel).as_posix(): file.read_text()
            for file in channel.rglob("*")
            if file.is_file()
        }
        for channel in (ROOT / "input/data").iterdir()
    },
    "config": {
        name: json.loads((ROOT / f"input/config/{name}.json").read_text())
        for name in ("inputdataconfig", "resourceconfig")
    },
}
(ROOT / "model" / "model.json").write_text(json.dumps(report | {"name": report["job"]}))
(ROOT / "output" / "data" / "notes.txt").write_text("notes")
