#!/usr/bin/python3
"""Stream management of our client (XEP-0198) on real servers: a chat with the echo bot goes on while its connection is
cut again and again, wherever the bytes happen to stand; every message arrives once, in order.

  stream_management.py [--binary PATH] [--server prosody|ejabberd|...] [--seed N]
"""
import random
import re
import select
import socket
import struct
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import cases
import peers
import xmpp
from tools import DONE, SECONDS, Tools, says

BOT, PERSON = "romeo", "juliet"
MESSAGES, CUTS = 60, 5
SM = "urn:xmpp:sm:3"


class Cutter:
    """Carries bytes between a port of its own and the server, until cut: then both ends see a reset at once, and what
    was under way is gone. `after(n)` cuts by itself when it has carried n more bytes."""

    def __init__(self, port):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.server_port = self.socket.getsockname()[1], port
        self.cuts, self.left = 0, None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def after(self, count):
        self.left = count

    def serve(self):
        while not self.stopped.is_set():
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            client = self.socket.accept()[0]
            with socket.create_connection(("127.0.0.1", self.server_port)) as server, client:
                self.carry(client, server)

    def carry(self, client, server):
        other = {client: server, server: client}
        while not self.stopped.is_set():
            for end in select.select(list(other), [], [], 0.1)[0]:
                try:
                    data = end.recv(4096)
                    if self.left is not None:
                        data, self.left = data[:self.left], self.left - len(data)
                    other[end].sendall(data)
                except OSError:
                    return
                if self.left is not None and self.left <= 0:
                    self.left = None
                    self.cuts += 1
                    for s in other:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if not data:
                    return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        self.socket.close()


def offers(server):
    c = server.connect(PERSON)
    deadline = time.monotonic() + SECONDS
    features = c.log_in(PERSON, peers.password_of(PERSON), peers.DOMAIN, deadline)
    c.close()
    return features.find(SM, "sm") is not None


def answers(c, count):
    """The bodies of the next messages from the bot."""
    got, deadline = [], time.monotonic() + 2 * SECONDS
    while len(got) < count:
        stanza = c.expect("stanza", deadline)
        if stanza.name == "message" and stanza.find(xmpp.NS_CLIENT, "body"):
            got.append(stanza.find(xmpp.NS_CLIENT, "body").text().splitlines()[-1])
    return got


def a_chat_over_a_bad_link(server, tools, chance):
    with Cutter(server.port) as link:
        where = ["--connect", f"127.0.0.1:{link.port}", "--ca", server.certificate]
        with tools.start("echo", "-d", jid=f"{BOT}@{peers.DOMAIN}/bot", where=where) as echo:
            echo.says("echoing as")
            echo.says("<enabled ")
            c = server.connect(PERSON)
            deadline = time.monotonic() + SECONDS
            c.log_in(PERSON, peers.password_of(PERSON), peers.DOMAIN, deadline)
            c.bind("desk", deadline)
            c.send("<presence/>")
            got, step = [], MESSAGES // CUTS
            for i in range(MESSAGES):
                if i % step == 0:
                    link.after(chance.randrange(1, 4000))
                c.send(f"<message to='{BOT}@{peers.DOMAIN}/bot' type='chat' id='m{i}'><body>{i}</body></message>")
                if i % step == step - 1:
                    got += answers(c, step)
            c.close()
            assert got == [str(i) for i in range(MESSAGES)], got
            assert link.cuts > 0
            echo.says("Event triggered: session_resumed")
            assert echo.interrupt() == DONE
            log = echo.err
    assert log.count("Event triggered: session_start") == 1, "a session was lost"
    resumed = log.count("Event triggered: session_resumed")
    last = [line for line in log.splitlines() if "SEND" in line][-2:]
    assert "SEND: <a xmlns='urn:xmpp:sm:3' h=" in last[0] and "SEND (IMMED): </stream:stream>" in last[1], last
    return f"{link.cuts} cuts, {resumed} resumptions"


def a_message_is_sent_when_it_is_acknowledged(server, tools, _):
    for to in (f"{BOT}@{peers.DOMAIN}", f"nobody@far.example"):
        done = tools.run("send", "-d", "-t", to, "-m", "Hi", jid=f"{PERSON}@{peers.DOMAIN}")
        said = done.stderr
        assert "SEND: <enable xmlns='urn:xmpp:sm:3'/>" in said, said
        assert re.search(r"RECV: <a [^>]*h=['\"]\d", said), said
        if to.startswith(BOT):
            assert (done.returncode, done.stdout) == (DONE, "Done\n"), said
    says(tools.run("send", "-t", f"{BOT}@{peers.DOMAIN}", "-m", "Hi", jid=f"{PERSON}@{peers.DOMAIN}"), "Done")


TESTS = (a_chat_over_a_bad_link, a_message_is_sent_when_it_is_acknowledged)


def prepare(server, a):
    for user in (BOT, PERSON):
        server.add_account(user)
    if not offers(server):
        print(f"-- {server.name} has no stream management")
        return None
    print(f"-- {server.name}, seed {a.seed}")
    tools = Tools(a.binary, server.dir, ["--connect", f"127.0.0.1:{server.port}", "--ca", server.certificate])
    return server, tools, random.Random(a.seed)


def add_options(p):
    p.add_argument("--seed", type=int, default=int(time.time()))


if __name__ == "__main__":
    sys.exit(cases.main_on_servers(__doc__, TESTS, prepare, add_options))
