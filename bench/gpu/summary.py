"""Makes RESULTS/gpu.json of what bench/gpu/run.sh left, and prints it: summary.py RESULTS SECONDS"""

import json
import pathlib
import re
import subprocess
import sys

results = pathlib.Path(sys.argv[1])


def asked(*words):
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


out = {"device": asked("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"), "seconds": int(sys.argv[2])}
for code in sorted(results.glob("*.code")):
    name = code.stem
    status, seconds = map(int, code.read_text().split())
    text = (results / f"{name}.out").read_text()
    part = {"code": status, "seconds": seconds}
    if name == "conformance":
        for key in ["tests", "pass", "fail", "skipped"]:
            found = re.search(rf"^# {key} (\d+)$", text, re.M)
            part[key] = int(found[1]) if found else None
        # Each failed test by its name, and the first line of why.
        part["failures"] = re.findall(r"^ *not ok \d+ - (.*)$", text, re.M)[:40]
        part["errors"] = re.findall(r"^ *error: (?:\|-\n *)?(.*)$", text, re.M)[:40]
    elif status == 0 and "{" in text:
        part["bench"] = json.loads(text[text.index("{") :])
    if status != 0:
        part["complaint"] = (results / f"{name}.err").read_text()[-2000:]
    out[name] = part
(results / "gpu.json").write_text(json.dumps(out, indent=1))
print(json.dumps(out, indent=1))
