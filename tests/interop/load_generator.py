#!/usr/bin/python3
"""`starling bench` on real servers: what it counts, and that it notices what is wrong.

  load_generator.py [--binary PATH] [--server prosody|ejabberd|...]
"""
import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import peers
import xmpp

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
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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
    running = bench.start("chat", 2, "--seconds", 3, "--warm-up", 0.1)
    while running.poll() is None:
        stranger.send("<message to='u1@localhost/bench' type='chat'><body>0 0 0 x</body></message>")
        time.sleep(0.1)  # until it is there, and then again
    out, err = running.communicate()
    stranger.close()
    told = json.loads(out)
    assert running.returncode == FAILED and not told["ok"] and told["wrong"] > 0 and not told["lost"], (told, err)


def mistakes_and_losses_are_told(bench):
    for exit, words, *arguments in ((USAGE, "even", "chat", 3), (FAILED, "no process 999999999", "iq", 1, *WINDOW,
                                                                 "--server-pid", 999999999),
                                    (FAILED, "u500", "chat", 2, "--first", 5000)):
        done = bench.run(*arguments)
        assert done.returncode == exit and words in done.stderr + done.stdout, done


def a_server_that_goes_away_ends_it(bench):
    running = bench.start("chat", 4, "--seconds", 30)
    time.sleep(1)  # it may be anywhere
    bench.server.kill()
    out, err = running.communicate(timeout=SECONDS)
    assert running.returncode == FAILED and "u" in out + err, (out, err)


TESTS = [accounts_are_made_once, a_chat_counts_messages_and_cpu, a_chat_keeps_to_its_rate,
         pings_logins_and_idle_sessions_are_counted, what_was_not_sent_by_the_partner_is_noticed,
         mistakes_and_losses_are_told, a_server_that_goes_away_ends_it]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", help="default: build/release/starling")
    p.add_argument("--server", choices=[*peers.SERVERS, "all"], default="all")
    a = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.stdout.reconfigure(line_buffering=True)
    passed = failed = 0
    for name in peers.SERVERS if a.server == "all" else [a.server]:
        with peers.make_server(name, peers.binary_path(a.binary)) as server:
            bench = Bench(peers.binary_path(a.binary), server)
            for test in TESTS:
                title = test.__name__.replace("_", " ")
                try:
                    test(bench)
                    passed += 1
                    print(f"pass {name}: {title}")
                except (AssertionError, xmpp.Failure, OSError, subprocess.TimeoutExpired) as e:
                    failed += 1
                    print(f"FAIL {name}: {title}: {type(e).__name__}: {e}\n{server.log_tail()}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
