"""The subcommands that log in to a server, run to their end or in the background while a test reads what they say.

    tools = Tools(binary, directory, where=["--connect", "127.0.0.1:5222", "--ca", "cert.pem"])
    done = tools.run("send", "-t", "juliet@localhost", "-m", "Hi", jid="romeo@localhost")
    assert (done.returncode, done.stdout) == (0, "Done\\n")
    with tools.start("echo", jid="romeo@localhost/bot") as echo:
        echo.says("echoing as")
        assert echo.interrupt() == 0

An account's password is that of peers.password_of; it reaches the tool in STARLING_PASSWORD.
"""
import os
import signal
import subprocess
import time
from pathlib import Path

import peers

SECONDS = 20  # for what a test waits for
DONE, USAGE, COULD_NOT_CONNECT, NOT_AUTHORIZED, TIMED_OUT, REFUSED = 0, 2, 3, 4, 5, 6


def ends(done, code, *words):
    """With that exit code and those words on stderr; returns all that it said there."""
    assert done.returncode == code, f"exit {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    for word in words:
        assert word in done.stderr, f"no {word!r} in {done.stderr!r}"
    return done.stderr


def says(done, *lines):
    """Done, with these lines and no others on stdout, and nothing on stderr."""
    assert done.returncode == DONE, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    assert done.stdout.splitlines() == list(lines), done.stdout
    assert not done.stderr, done.stderr


class Tools:
    def __init__(self, binary, directory, where=()):
        self.binary, self.dir, self.where = str(binary), directory, list(where)
        self.started = 0

    def command(self, tool, *arguments, jid, where=None):
        where = self.where if where is None else where
        return [self.binary, *tool.split(), "-j", jid, *map(str, where), *map(str, arguments)]

    def environment(self, jid, password, env):
        """Nothing that is set outside of the test for this program; a password of "" is none."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("STARLING_")}
        if password is None:
            password = peers.password_of(jid.partition("@")[0])
        return {**kept, "HOME": str(self.dir), **({"STARLING_PASSWORD": password} if password else {}), **(env or {})}

    def run(self, tool, *arguments, jid, password=None, stdin="", where=None, env=None, seconds=SECONDS):
        """To its end; a CompletedProcess of texts."""
        return subprocess.run(self.command(tool, *arguments, jid=jid, where=where), input=stdin, capture_output=True,
                              text=True, timeout=seconds, cwd=self.dir, env=self.environment(jid, password, env))

    def start(self, tool, *arguments, jid, password=None, where=None, env=None):
        self.started += 1
        return Running(self.command(tool, *arguments, jid=jid, where=where), self.dir,
                       self.environment(jid, password, env), f"{tool}-{self.started}")


class Examples(Tools):
    """The programs of examples/, which are in a folder of that name beside the binary and take the same options."""

    def command(self, tool, *arguments, **kw):
        program = Path(self.binary).resolve().parent / "examples" / tool
        return [str(program), *super().command(tool, *arguments, **kw)[2:]]


class Running:
    """A tool in the background. Leaving the `with` ends it."""

    def __init__(self, command, directory, env, name):
        self.name = name
        self.paths = {kind: directory / f"{name}.{kind}" for kind in ("out", "err")}
        with open(self.paths["out"], "wb") as out, open(self.paths["err"], "wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=directory,
                                            env=env, text=True, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        if kind:
            said = (self.out + self.err).splitlines()[-30:]
            print(f"    --- what {self.name} said\n" + "\n".join("    " + line for line in said))

    @property
    def out(self):
        return self.paths["out"].read_text(errors="replace")

    @property
    def err(self):
        return self.paths["err"].read_text(errors="replace")

    def says(self, words, times=1, seconds=SECONDS):
        """Waits until they are on stdout or stderr, so often."""
        deadline = time.monotonic() + seconds
        while (self.out + self.err).count(words) < times:
            ended = self.process.poll()
            if ended is not None and (self.out + self.err).count(words) < times:
                raise AssertionError(f"{self.name} ended with {ended} and never said {words!r}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} has not said {words!r} {times} times within {seconds} s")
            time.sleep(0.02)  # between two looks

    def write(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def ends(self, seconds=SECONDS):
        """Its exit code, when it has ended by itself."""
        return self.process.wait(seconds)

    def interrupt(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.ends()
