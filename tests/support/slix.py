"""What the tests with slixmpp share: a client that notes everything that passes, checks that are counted, and a main
that runs one coroutine against one server.

    async def play(server, binary):
        juliet = slix.Client("juliet", "balcony", plugins=["xep_0030"])
        ...
        slix.check("she logs in", juliet.started.is_set())
    sys.exit(slix.main(__doc__, ["juliet", "romeo"], play))

The package belongs to Debian's Python, so importing this starts the program again with that one where another comes
first in PATH.
"""
import argparse
import asyncio
import logging
import os
import ssl
import sys

import peers

DEBIAN_PYTHON = "/usr/bin/python3"
try:
    import slixmpp
except ImportError:
    if sys.executable == DEBIAN_PYTHON:
        raise
    os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON, *sys.argv])

SECONDS = 20
PLAY_SECONDS = 120
MOST_SHOWN = 4000  # characters of a stanza
transcript = []
passed = failed = 0


class Client(slixmpp.ClientXMPP):
    """Sends presence and asks for the roster when it has logged in. `plugins`: names, or (name, configuration)."""

    def __init__(self, name, resource, plugins=()):
        super().__init__(f"{name}@{peers.DOMAIN}/{resource}", peers.password_of(name))
        self.name = name
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        for plugin in plugins:
            self.register_plugin(*([plugin] if isinstance(plugin, str) else plugin))
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("failed_all_auth", lambda _: note(self.name, "*", "login failed"))
        self.add_event_handler("disconnected", lambda _: self.ended.set())
        self.add_filter("in", lambda stanza: note(self.name, "<", stanza))
        self.add_filter("out", lambda stanza: note(self.name, ">", stanza))

    async def on_start(self, _):
        self.send_presence()
        await self.get_roster()
        self.started.set()

    async def log_in(self, server):
        self.connect(("127.0.0.1", server.port))
        await soon(self.started.wait())

    async def log_out(self):
        self.disconnect()
        await soon(self.ended.wait())


def where(server):
    """How our programs come to it."""
    return ["--connect", f"127.0.0.1:{server.port}", "--ca", server.certificate]


class Programs:
    """Those of a tools.Tools, as children of the event loop. `jid`: who they are unless somebody else is named."""

    def __init__(self, tools, jid):
        self.tools, self.jid = tools, jid

    async def start(self, tool, *arguments, jid=None):
        jid = jid or self.jid
        return await asyncio.create_subprocess_exec(
            *self.tools.command(tool, *arguments, jid=jid), cwd=self.tools.dir,
            env=self.tools.environment(jid, None, None), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)

    async def end(self, program, name="program"):
        """Waits for it: its exit code, stdout and stderr."""
        out, err = await soon(program.communicate())
        for line in (out + err).decode().splitlines():
            note(name, "|", line)
        return program.returncode, out.decode(), err.decode()

    async def run(self, tool, *arguments, jid=None):
        return await self.end(await self.start(tool, *arguments, jid=jid), tool)


def note(name, direction, stanza):
    text = str(stanza)
    transcript.append(f"    {name:>8} {direction} {text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + ' ...'}")
    return stanza


def check(what, true):
    global passed, failed
    passed, failed = passed + bool(true), failed + (not true)
    print(f"{'pass' if true else 'FAIL'} {what}")


async def until(condition):
    """Waits for something that an event handler will have made true."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, SECONDS)


def main(doc, accounts, play):
    """Runs it with a server that has the accounts, and the path of our binary; returns the exit code."""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary")
    p.add_argument("--server", default="starling", choices=peers.SERVERS)
    a = p.parse_args()
    logging.basicConfig(level=logging.ERROR)
    sys.stdout.reconfigure(line_buffering=True)
    global failed
    with peers.make_server(a.server, a.binary) as server:
        for name in accounts:
            server.add_account(name)
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(asyncio.wait_for(play(server, peers.binary_path(a.binary)), PLAY_SECONDS))
        except (asyncio.TimeoutError, slixmpp.exceptions.XMPPError) as e:
            failed += 1
            print(f"FAIL after the step above: {e!r}")
        finally:
            left = asyncio.all_tasks(loop)  # slixmpp's own
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.close()
        if failed:
            print("\n".join(transcript), server.log_tail(), sep="\n")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
