#!/usr/bin/python3
"""`starling bench` on real servers: what it counts, and that it notices what is wrong.

  load_generator.py [--binary PATH] [--server prosody|ejabberd|...]
"""
import contextlib
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import cases
import peers

DONE, FAILED, USAGE = 0, 1, 2
SECONDS = 60
WINDOW = ["--seconds", "0.5", "--warm-up", "0.2"]


class Bench:
    def __init__(self, binary, server):
        self.binary, self.server = binary, server

    def command(self, *arguments):
        return [self.binary, "bench", *map(str, arguments), "--connect", f"127.0.0.1:{self.server.port}", "--json"]

    def run(self, *arguments):
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=SECONDS)

    def figures(self, *arguments):
        done = self.run(*arguments, "--server-pid", self.server.process.pid)
        assert done.returncode == DONE and not done.stderr, f"exit {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def start(self, *arguments):
        return Running(self.command(*arguments))


class Running:
    """In the background, with a terminal for its progress."""

    def __init__(self, command):
        self.screen, terminal = pty.openpty()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, text=True)
        os.close(terminal)
        self.seen = ""

    def shows(self, words):
        deadline = time.monotonic() + SECONDS
        while words not in self.seen:
            assert select.select([self.screen], [], [], max(0, deadline - time.monotonic()))[0], self.seen
            self.seen += os.read(self.screen, 4096).decode()

    def ends(self):
        """Its exit code, what it said, and what was on its screen."""
        out, _ = self.process.communicate(timeout=SECONDS)
        with contextlib.suppress(OSError):  # that nobody has the other end any more
            while data := os.read(self.screen, 4096):
                self.seen += data.decode()
        os.close(self.screen)
        return self.process.returncode, out, self.seen


def accounts_are_made_once(bench):
    assert bench.figures("register", 20) == {"made": 20, "there_before": 0}
    assert bench.figures("register", 22) == {"made": 2, "there_before": 20}


def a_chat_counts_messages_and_cpu(bench):
    for options, managed in (([], True), (["--no-stream-management"], False)):
        told = bench.figures("chat", 20, "--outstanding", 5, *WINDOW, *options)
        assert told["ok"] and told["delivered"] > 10 and told["stream_management"] == managed, told
        assert 0 < told["p50_ms"] <= told["p99_ms"], told
        assert told["per_server_cpu_second"] > 0 and told["server_cpu_share"] > 0, told


def a_chat_keeps_to_its_rate(bench):
    told = bench.figures("chat", 10, "--rate", 200, "--seconds", 1, "--warm-up", 0.2)
    assert told["ok"] and 180 < told["per_second"] < 220, told


def pings_logins_and_idle_sessions_are_counted(bench):
    told = bench.figures("iq", 5, *WINDOW)
    assert told["ok"] and told["answered"] > 10 and not told["errors"], told
    told = bench.figures("login", 10, "--at-once", 2, *WINDOW)
    assert told["logins"] > 0 and told["mechanism"] == "SCRAM-SHA-1", told
    told = bench.figures("idle", "5,20", "--settle", 0.2)
    assert [row["sessions"] for row in told["rows"]] == [5, 20], told
    assert 1 < told["server_mib_before"] <= told["rows"][1]["server_mib"] + 20, told


def what_was_not_sent_by_the_partner_is_noticed(bench):
    stranger = bench.server.connect("stranger")
    deadline = time.monotonic() + SECONDS
    stranger.log_in("u21", peers.password_of("u21"), peers.DOMAIN, deadline)
    stranger.bind("x", deadline)
    running = bench.start("chat", 2, "--seconds", 1, "--warm-up", 0.1)
    running.shows("measuring: ")
    stranger.send("<message to='u1@localhost/bench' type='chat'><body>0 0 0 x</body></message>")
    code, out, seen = running.ends()
    stranger.close()
    told = json.loads(out)
    assert code == FAILED and not told["ok"] and told["wrong"] == 1 and not told["lost"], (told, seen)


def mistakes_and_losses_are_told(bench):
    for exit, words, *arguments in ((USAGE, "even", "chat", 3), (FAILED, "no process 999999999", "iq", 1, *WINDOW,
                                                                 "--server-pid", 999999999),
                                    (FAILED, "u500", "chat", 2, "--first", 5000),
                                    (USAGE, "no domain", "iq", 1, "--domain", "a@b")):
        done = bench.run(*arguments)
        assert done.returncode == exit and words in done.stderr + done.stdout, done


def a_server_that_goes_away_ends_it(bench):
    running = bench.start("chat", 4, "--seconds", 30)
    running.shows("measuring: ")
    bench.server.kill()
    code, out, seen = running.ends()
    assert code == FAILED and "error" in json.loads(out), (out, seen)


TESTS = [accounts_are_made_once, a_chat_counts_messages_and_cpu, a_chat_keeps_to_its_rate,
         pings_logins_and_idle_sessions_are_counted, what_was_not_sent_by_the_partner_is_noticed,
         mistakes_and_losses_are_told, a_server_that_goes_away_ends_it]


if __name__ == "__main__":
    sys.exit(cases.main_on_servers(__doc__, TESTS, lambda server, a: (Bench(a.binary, server),)))
