"""A server that may be killed, the pairs of clients that talk over it, and what must hold of their books."""
import asyncio
import contextlib
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

import client
import peers
import points
import xmpp

DOMAIN = peers.DOMAIN
STARLING = {"tls.policy": "off", "auth.plain_without_tls": "true", "limits.offline_messages": "1000000",
            "limits.offline_bytes": "1000000000", "log.level": "info"}
DISK_BYTES = 1 << 30  # far more than is ever written, and than needs to be there
QUIET_SECONDS = 0.5  # in which nothing arrives any more


class Disk:
    """Where the server keeps its data: a directory, or a small file system of its own."""

    def __init__(self, path):
        self.path, self.mounted, self.server = Path(path), False, None

    def mount(self):
        """Only root may; others get the same from a limit on the size of files."""
        self.mounted = tmpfs(f"size={DISK_BYTES}", self.path)

    def fill(self):
        if not self.mounted:
            self.limit_files(0)
            return
        # The disk shrinks to what is on it: so there is always room again, however much the clients talked.
        for _ in range(1000):
            if tmpfs(f"remount,size={shutil.disk_usage(self.path).used}", self.path):
                return
            # it grew meanwhile
        raise RuntimeError(f"{self.path} cannot be made as small as what is on it")

    def free(self):
        if not self.mounted:
            self.limit_files(None)
        else:
            tmpfs(f"remount,size={DISK_BYTES}", self.path)

    def limit_files(self, size):
        pid = self.server.process.pid
        if self.server.process.poll() is None:
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    def unmount(self):
        if self.mounted:
            subprocess.run(["umount", self.path], check=True)


def tmpfs(options, path):
    """Mounts one, or mounts it anew; whether it could."""
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "starling-crash", path],
                          capture_output=True).returncode == 0


def make_server(name, binary, disk, environment):
    if name != "starling":
        return peers.make_server(name, domains=(DOMAIN,))
    server = peers.make_server(name, binary, domains=(DOMAIN,), settings=STARLING)
    server.data = disk.path / "data"
    server.log_path = disk.path.with_name(disk.path.name + ".log")
    # The size of its files may be limited: a write has to fail then, not to raise SIGXFSZ (which Python ignores).
    server.launch = lambda: server.spawn(server.command(), env={**os.environ, **environment}, restore_signals=False)
    return server


class Harness:
    def __init__(self, options, rng, directory, mode):
        self.options, self.rng = options, rng
        self.disk = Disk(Path(options.keep or directory).resolve() / mode)
        self.disk.path.mkdir(parents=True)
        if mode == "full" and not options.keep:  # what is kept is on a disk that stays
            self.disk.mount()
        is_ours = options.server == "starling"
        self.points = points.Points(directory) if is_ours else None
        self.server = self.disk.server = make_server(options.server, options.binary, self.disk,
                                                     self.points.environment if is_ours else {})
        self.tls = None if is_ours else xmpp.client_tls(["xmpp-client"])
        self.up = asyncio.Event()
        self.clients, self.proxies, self.tasks = [], {}, []
        self.trap = None  # (point, countdown, action)
        self.failures = []
        self.kills = self.cuts = self.left_over = 0
        self.started = time.monotonic()

    # -- the server

    async def start(self):
        await asyncio.to_thread(self.server.start)
        self.up.set()

    async def come_back(self):
        """The server, if it is away, and whoever left."""
        if not self.up.is_set():
            await self.start()
        for c in self.clients:
            c.present.set()

    def kill(self):
        self.up.clear()
        self.kills += 1
        self.server.kill()

    def stop(self):
        for task in self.tasks:
            task.cancel()
        for proxy in self.proxies.values():
            proxy.close()
        self.server.stop()
        self.disk.unmount()

    async def connect(self, who):
        await self.up.wait()
        who.server_life = self.kills
        if proxy := self.proxies.get(who.name):
            return await asyncio.open_connection("127.0.0.1", proxy.port)
        if self.tls:
            return await asyncio.open_connection("127.0.0.1", self.server.tls_port, ssl=self.tls,
                                                 server_hostname=DOMAIN)
        return await asyncio.open_connection("127.0.0.1", self.server.port)

    # -- the pairs

    def add_pairs(self, pauses=(0.0, 0.3), **settings):
        """Every other pair talks in bursts with pauses of up to `pauses[1]` seconds."""
        for pair in range(self.options.pairs):
            names = [f"c{pair}x{side}" for side in "ab"]
            two = [client.Client(name, partner, DOMAIN, self.connect, self.rng, self.hook, self.options.window,
                                 pauses[pair % len(pauses)], **settings)
                   for name, partner in (names, names[::-1])]
            two[0].incoming, two[1].incoming = two[1].out, two[0].out
            self.clients += two

    async def start_proxies(self, make):
        for c in self.clients:
            self.proxies[c.name] = make()
            await self.proxies[c.name].start()

    async def begin(self):
        """The accounts, and everybody online."""
        await self.start()
        for c in self.clients:
            await asyncio.to_thread(self.server.add_account, c.name)
        self.tasks += [asyncio.create_task(c.run()) for c in self.clients]
        await self.until(lambda: all(c.live for c in self.clients), 60, "everybody is online")

    def talk(self, yes=True):
        for c in self.clients:
            if yes:
                c.talking.set()
            else:
                c.talking.clear()

    def acknowledged(self):
        return sum(len(c.out.acknowledged) for c in self.clients)

    def arrived(self):
        return sum(len(c.out.first) + c.out.repeated for c in self.clients)

    def progress(self):
        return self.acknowledged(), sum(len(c.out.first) for c in self.clients)

    # -- points

    def set_trap(self, point, countdown, action):
        self.trap = (point, countdown, action)

    def hook(self, point, _):
        if self.trap and self.trap[0] == point:
            _, countdown, action = self.trap
            self.trap = (point, countdown - 1, action) if countdown > 1 else None
            if not self.trap:
                action()

    # -- waiting

    async def until(self, condition, seconds, what=None):
        """Whether it came true. With a name it is a failure if it did not."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                if what:
                    self.failures.append(f"not within {seconds} s: {what}")
                return False
            await asyncio.sleep(0.005)
        return True

    async def settle(self):
        """Traffic ends, and everything arrives, as far as it will."""
        self.talk(False)
        last, since, asked = None, time.monotonic(), 0.0
        while not all(c.live and not c.unacknowledged and c.out.settled() for c in self.clients):
            now, state = time.monotonic(), (self.progress(), sum(c.live for c in self.clients))
            if state != last:
                last, since = state, now
            elif now - since > self.options.patience:
                break
            if now - asked > 0.5:
                asked = now
                for c in self.clients:
                    if c.live:
                        c.ask()
            await asyncio.sleep(0.01)
        await self.until(lambda: all(c.live for c in self.clients), 30, "everybody is online")
        results = await asyncio.gather(*(c.ping() for c in self.clients), return_exceptions=True)
        self.failures += [f"{c.name} is not answered: {r!r}" for c, r in zip(self.clients, results) if r]

    async def look_again(self):
        """What a session that begins now is given was given to another before."""
        last = None
        while last != (last := self.arrived()):
            await asyncio.sleep(QUIET_SECONDS)
        before = sum(c.out.repeated for c in self.clients)
        await asyncio.gather(*(c.close() for c in self.clients))
        await self.until(lambda: all(c.live for c in self.clients), 30, "everybody is online again")
        await self.settle()
        await asyncio.sleep(QUIET_SECONDS)
        self.left_over = sum(c.out.repeated for c in self.clients) - before

    # -- the outcome

    def partner(self, c):
        return next(p for p in self.clients if p.name == c.partner)

    def twice(self, c):
        return c.out.twice(self.partner(c).resumed_sessions)

    def outcome(self):
        books = [c.out for c in self.clients]
        twice = [numbers for c in self.clients for numbers in self.twice(c).values()]
        return {
            "kills": self.kills, "cuts": self.cuts, "seconds": round(time.monotonic() - self.started, 1),
            "sent": sum(b.sent for b in books), "acknowledged": self.acknowledged(),
            "missing": sum(len(b.missing()) for b in books),
            "duplicates_in_resumed_sessions": sum(map(len, twice)),
            "duplicates_overall": sum(b.repeated for b in books),
            "out_of_order": sum(b.disordered for b in books),
            "refused": sum(len(b.refused) for b in books),
            "refused_and_delivered": sum(len(b.bounced_falsely()) for b in books),
            "never_settled": sum(not b.settled() for b in books),
            "left_over": self.left_over,
            "resumed": sum(c.resumed for c in self.clients),
            "not_resumed": sum(c.refused_sessions for c in self.clients),
            "complaints": sum(len(c.complaints) for c in self.clients),
            "failures": len(self.failures),
        }

    def details(self):
        lines, shown = list(self.failures), set()
        for c in self.clients:
            lines += c.complaints
            shown |= {c} if c.complaints else set()
            again = {f"twice in session {session}": numbers for session, numbers in self.twice(c).items()}
            for what, numbers in {**c.out.notes, **again, "acknowledged and missing": c.out.missing(),
                                  "refused and delivered": c.out.bounced_falsely()}.items():
                if numbers:
                    lines.append(f"{c.out.title}: {len(numbers)} {what}, {numbers[0]} to {numbers[-1]}")
                    shown |= {c, self.partner(c)}
        events = sorted(event for c in shown for event in c.history)
        lines += [f"{time.strftime('%H:%M:%S', time.gmtime(at))}.{int(at * 1000) % 1000:03} {what}"
                  for at, what in events]
        return lines


MUST_BE_NONE = ("missing", "duplicates_in_resumed_sessions", "out_of_order", "refused_and_delivered", "never_settled",
                "left_over", "complaints", "failures")
