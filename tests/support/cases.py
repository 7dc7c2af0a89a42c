"""What the files of tests/interop that run the binary share: tests that are listed as they are defined, a place to run
the binary in, and what runs them all.

    @cases.test
    def a_name_that_says_what_must_be_true(place):
        place.serve()
        ...
    sys.exit(cases.main(__doc__))
"""
import argparse
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import peers
import xmpp

DONE, FAILED, USAGE, NO_SERVER = 0, 1, 2, 3
SECONDS = 20  # for what a test waits for
tests = []


def test(function):
    tests.append(function)
    return function


def soon():
    return time.monotonic() + SECONDS


def until(what, condition):
    """Polls for a change that another process makes."""
    deadline = soon()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {SECONDS} s")
        time.sleep(0.02)  # between two looks
    return value


class Place:
    """A directory with a data directory in it that is not there yet, and ports that are free."""

    binary = ""  # the starling to run

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="starling-contract-"))
        self.data = self.dir / "data"
        self.port, self.tls_port = peers.free_ports(2)
        self.elsewhere = self.dir / "elsewhere"  # where the program runs; it must leave nothing there
        self.elsewhere.mkdir()
        self.servers = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for server in self.servers:
            if server.poll() is None:
                server.kill()
                server.wait()
            server.stdout.close()
        if kind:
            print("    --- stderr of the servers\n" + "\n".join("    " + s for s in self.log().splitlines()[-20:]))
        shutil.rmtree(self.dir, ignore_errors=True)

    def environment(self, extra):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("STARLING_")}
        return {**kept, "HOME": str(self.elsewhere), **(extra or {})}

    def run(self, *arguments, stdin="", env=None, data=True):
        """A subcommand that ends by itself."""
        command = [self.binary, *map(str, arguments)] + (["--data", str(self.data)] if data else [])
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS,
                              cwd=self.elsewhere, env=self.environment(env))

    def json(self, *arguments):
        done = self.run(*arguments, "--json")
        assert done.returncode == DONE, f"{arguments}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def fails(self, code, *arguments, **kw):
        done = self.run(*arguments, **kw)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}, not {code}: {done.stdout}{done.stderr}"
        assert done.stderr or done.stdout, f"{arguments}: says nothing"
        return done.stdout + done.stderr

    def serve(self, *sets, env=None, listen=True, arguments=()):
        """Starts a server and waits for its `ready`; returns the process, with `ready_line`."""
        command = [self.binary, "serve", "--data", str(self.data), *arguments]
        own = [f"listen.c2s=127.0.0.1:{self.port}", f"listen.c2s_tls=127.0.0.1:{self.tls_port}"] if listen else []
        for setting in [*own, *sets]:
            command += ["--set", setting]
        with open(self.dir / "stderr", "ab") as log:
            p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                 cwd=self.elsewhere, env=self.environment(env), start_new_session=True)
        self.servers.append(p)
        deadline, text = time.monotonic() + 30, b""
        while not text.endswith(b"\n"):
            readable, _, _ = select.select([p.stdout], [], [], max(0, deadline - time.monotonic()))
            assert readable, "no `ready` within 30 s"
            more = os.read(p.stdout.fileno(), 1)
            assert more, f"ended with {p.wait()} before `ready`"
            text += more
        p.ready_line = text.decode().rstrip("\n")
        assert p.ready_line.startswith("ready"), p.ready_line
        return p

    def refused(self, *sets, env=None):
        """A server that must not start; returns what it said."""
        done = self.run("serve", *(x for s in [f"listen.c2s=127.0.0.1:{self.port}", "listen.c2s_tls=", *sets]
                                   for x in ("--set", s)), env=env)
        assert done.returncode in (FAILED, USAGE), f"exit {done.returncode}: {done.stderr}"
        assert not done.stdout.startswith("ready"), "it said `ready`"
        return done.stdout + done.stderr

    def log(self):
        path = self.dir / "stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    def connect(self, name="client", direct_tls=False):
        return xmpp.Connection(name, ("127.0.0.1", self.tls_port if direct_tls else self.port))

    def log_in(self, user, password=None, resource="x", domain=peers.DOMAIN):
        c = self.connect(user)
        c.log_in(user, password or peers.password_of(user), domain, soon())
        c.bind(resource, soon())
        return c

    def login_fails(self, user, password, domain=peers.DOMAIN):
        c = self.connect(user)
        c.secure(domain, soon())
        answer = c.authenticate(user, password, soon(), "SCRAM-SHA-1")
        c.close()
        return answer.name == "failure" and answer.elements()[0].name == "not-authorized"

    def add(self, *names):
        for name in names:
            done = self.run("user", "add", f"{name}@{peers.DOMAIN}", "--password", peers.password_of(name))
            assert done.returncode == DONE, done.stderr

    def domain_is_served(self, domain):
        c = self.connect()
        try:
            c.open_stream(domain)
            c.expect("stream", soon())
            return c.expect("stanza", soon()).name == "features"
        finally:
            c.close()

    def certificate(self):
        """The one that a new connection sees, as DER."""
        c = self.connect(direct_tls=True)
        try:
            c.wrap_tls(peers.DOMAIN, soon())
            return c.sock.getpeercert(True)
        finally:
            c.close()


def stops(p, number=signal.SIGTERM):
    started = time.monotonic()
    p.send_signal(number)
    code = p.wait(SECONDS)
    assert code == 0, f"exit {code}"
    assert time.monotonic() - started < 5, f"took {time.monotonic() - started:.1f} s"


def heard(c, body=None):
    """The next message that a connection gets, past presence and the like."""
    while (stanza := c.expect("stanza", soon())).name != "message":
        pass
    assert body is None or stanza.find(xmpp.NS_CLIENT, "body").text() == body, stanza.to_xml()
    return stanza


def on_a_terminal(command, *answers, env=None):
    """Runs it with a terminal, where it gets an answer after each question; returns its exit code and what it said."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, dict(os.environ, **(env or {})))
    said = b""
    for answer in answers:
        seen = len(said)
        deadline = soon()
        while b": " not in said[seen:]:
            assert select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0], said
            said += os.read(terminal, 1000)
        os.write(terminal, answer.encode() + b"\n")
    try:
        while more := os.read(terminal, 1000):
            said += more
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode(errors="replace")


def main(doc):
    """Runs the tests that have been defined; returns the exit code."""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", help="default: build/release/starling")
    p.add_argument("-k", metavar="WORDS", default="", help="only tests whose name has these words")
    p.add_argument("-v", action="store_true", help="show tracebacks")
    a = p.parse_args()
    Place.binary = peers.binary_path(a.binary)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.stdout.reconfigure(line_buffering=True)
    passed = failed = 0
    for function in tests:
        title = function.__name__.replace("_", " ")
        if a.k not in title:
            continue
        try:
            with Place() as place:
                function(place)
            passed += 1
            print(f"pass {title}")
        except (AssertionError, xmpp.Failure, OSError, ValueError, KeyError, IndexError, AttributeError,
                subprocess.SubprocessError) as e:
            failed += 1
            file = function.__code__.co_filename
            where = next(f for f in reversed(traceback.extract_tb(e.__traceback__)) if f.filename == file)
            print(f"FAIL {title}\n    line {where.lineno}: {where.line}\n    {type(e).__name__}: {e}")
            if a.v:
                traceback.print_exc()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main_on_servers(doc, tests, prepare, add_options=None):
    """Runs the tests on each server that --server names, with what prepare(server, arguments) makes of it, or none of
    them if that is nothing; returns the exit code. What a test returns is printed."""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", help="default: build/release/starling")
    p.add_argument("--server", choices=[*peers.SERVERS, "all"], default="all")
    if add_options:
        add_options(p)
    a = p.parse_args()
    a.binary = peers.binary_path(a.binary)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.stdout.reconfigure(line_buffering=True)
    passed = failed = 0
    for name in peers.SERVERS if a.server == "all" else [a.server]:
        with peers.make_server(name, a.binary) as server:
            arguments = prepare(server, a)
            for function in tests if arguments else []:
                title = function.__name__.replace("_", " ")
                try:
                    said = function(*arguments)
                    passed += 1
                    print(f"pass {name}: {title}{f' ({said})' if said else ''}")
                except (AssertionError, xmpp.Failure, OSError, ValueError, subprocess.SubprocessError) as e:
                    failed += 1
                    print(f"FAIL {name}: {title}: {type(e).__name__}: {e}\n{server.log_tail()}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0
