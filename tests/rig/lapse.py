"""Time that passes quickly for a program: its clocks go on by minutes within seconds, so that its own timeouts and
retries come when they are due, and nobody waits for them. It needs `cc`.
"""

import struct
import subprocess
import time
from pathlib import Path

SOURCE = Path(__file__).with_name("lapse.c")
# One step in seconds, and the real time in which the programs then see what is due. What they wait for meanwhile, such as a
# database, seems slow to them: they must not give it up.
STEP, PAUSE = 5, 0.1


class Lapse:
    """For programs that are started with its `env`; its files are in `folder`."""

    def __init__(self, folder):
        library, self.file = Path(folder) / "lapse.so", Path(folder) / "ahead"
        subprocess.run(["cc", "-O1", "-Wall", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
        self.ahead = 0
        self.file.write_bytes(struct.pack("=q", 0))
        self.env = {"LD_PRELOAD": str(library), "LAPSE_FILE": str(self.file)}

    def go_on(self, seconds, ask=lambda: None):
        """Lets this many seconds pass, in steps. `ask` asks the programs something: the longer they take, on a busy
        machine, the slower time passes."""
        until = self.ahead + seconds
        while self.ahead < until:
            self.ahead = min(self.ahead + STEP, until)
            with open(self.file, "r+b") as file:  # in place: the programs have it mapped
                file.write(struct.pack("=q", self.ahead))
            began = time.monotonic()
            ask()
            time.sleep(min(1, max(PAUSE, 2 * (time.monotonic() - began))))
