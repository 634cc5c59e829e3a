"""What the encoders need, and how it is installed: nothing is skipped because it is missing."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
HOME = HERE.parents[1] / os.environ.get("CARGO_TARGET_DIR", "target") / "encoders"
NODE = Path(os.environ.get("ENCODERS_NODE", HOME / "node"))
MODULES = (
    "icalendar vobject ldif3 yaml openpyxl xlsxwriter xlwt docx pptx odf reportlab pikepdf lxml py7zr compressed_rtf "
    "rtfunicode PyRTF"
).split()
PERL = "MIME::Lite MIME::Entity Email::MIME".split()


def missing():
    """What is not there, in words."""
    lacks = [f"Python: {name}" for name in MODULES if importlib.util.find_spec(name) is None]
    for name in PERL:
        if subprocess.run(["perl", f"-M{name}", "-e", "1"], capture_output=True).returncode:
            lacks.append(f"Perl: {name}")
    lacks += [f"Node: {name}" for name in ("nodemailer", "mimetext") if not (NODE / "node_modules" / name).is_dir()]
    return lacks


def complain():
    """Ends with a word on how to install what is missing."""
    if lacks := missing():
        print(f"tests.encoders needs: {', '.join(lacks)}", file=sys.stderr)
        print(f"run tests/encoders/install, then {HOME}/venv/bin/python -m tests.encoders", file=sys.stderr)
        sys.exit(2)
