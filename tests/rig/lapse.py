"""Time that passes quickly for a program: its clocks go on by minutes within seconds, so that its own timeouts and
retries come when they are due, and nobody waits for them. It needs `cc`.
"""

import struct
import subprocess
import time
from pathlib import Path

SOURCE = Path(__file__).with_name("lapse.c")
# The real time after each step in which the programs see what is due.
PAUSE = 0.1


class Lapse:
    """For programs that are started with its `env`; its files are in `folder`. Time passes in steps of so many seconds:
    what the programs wait for meanwhile, such as a database, seems slow to them, and they must not give it up."""

    def __init__(self, folder, step):
        library, self.file = Path(folder) / "lapse.so", Path(folder) / "ahead"
        subprocess.run(["cc", "-O1", "-Wall", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
        self.ahead, self.step = 0, step
        self.file.write_bytes(struct.pack("=q", 0))
        self.env = {"LD_PRELOAD": str(library), "LAPSE_FILE": str(self.file)}

    def go_on(self, seconds, ask=lambda: None):
        """Lets this many seconds pass, in steps. `ask` asks the programs something: the longer they take, on a busy
        machine, the slower time passes."""
        until = self.ahead + seconds
        while self.ahead < until:
            self.ahead = min(self.ahead + self.step, until)
            with open(self.file, "r+b") as file:  # in place: the programs have it mapped
                file.write(struct.pack("=q", self.ahead))
            began = time.monotonic()
            ask()
            time.sleep(min(1, max(PAUSE, 2 * (time.monotonic() - began))))
