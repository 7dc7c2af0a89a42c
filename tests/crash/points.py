"""Points inside of the server at which it dies or its writes fail: the near side of points.c."""
import mmap
import shutil
import struct
import subprocess
from pathlib import Path

POINTS = {"write": 1, "written": 2, "committed": 3, "acknowledge": 4}
SOURCE = Path(__file__).resolve().parent / "points.c"


class Points:
    """Its files are in `directory`; `environment` is for the server."""

    def __init__(self, directory):
        library, control = Path(directory) / "points.so", Path(directory) / "points"
        compiler = shutil.which("clang-19") or shutil.which("cc")
        subprocess.run([compiler, "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"],
                       check=True)
        control.write_bytes(bytes(mmap.PAGESIZE))
        with open(control, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.environment = {"LD_PRELOAD": str(library), "CRASH_POINTS": str(control)}

    def arm(self, point, countdown, failures=0):
        """The server dies when it comes there for the nth time; with `failures` so many calls fail instead."""
        self.memory[4:12] = struct.pack("=ii", countdown, failures)
        self.memory[0:4] = struct.pack("=i", POINTS[point])

    def disarm(self):
        self.memory[0:4] = bytes(4)

    def armed(self):
        return self.memory[0:4] != bytes(4)
