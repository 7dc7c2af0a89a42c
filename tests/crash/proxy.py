"""A link that breaks: forwards TCP between a client and the server, and cuts a direction after a chosen stanza."""
import asyncio
import re

TAG = re.compile(rb"<[^>]*>")
MAX_DELAY = 0.03  # seconds that the other direction lives on


class Boundaries:
    """Counts what ends directly below the stream's root, in bytes that come in pieces. Knows just enough XML for
    streams of stanzas: no comments, no CDATA, no `>` in an attribute."""

    def __init__(self):
        self.depth, self.rest = 0, b""

    def feed(self, data):
        """The offsets in `data` behind the elements that end in it."""
        before, data = len(self.rest), self.rest + data
        ends, last = [], 0
        for m in TAG.finditer(data):
            tag, last = m[0], m.end()
            if tag.startswith(b"<?"):
                continue
            if tag.startswith(b"<stream:stream"):
                self.depth = 1
                continue
            if tag.startswith(b"</"):
                self.depth -= 1
            elif not tag.endswith(b"/>"):
                self.depth += 1
                continue
            if self.depth == 1:
                ends.append(last - before)
        self.rest = data[last:] if b"<" in data[last:] else b""
        return ends


class Proxy:
    """Each connection through it takes the next of `cuts`: ("up" or "down", after which element). Without any left the
    link holds. `cut(direction, element)` is called for each that was done."""

    def __init__(self, address, rng, cut):
        self.address, self.rng, self.cut = address, rng, cut
        self.cuts, self.port = [], None

    async def start(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    def close(self):
        self.server.close()

    async def accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.address)
        except OSError:
            writer.transport.abort()
            return
        direction, after = self.cuts[0] if self.cuts else (None, 0)
        done = asyncio.Event()
        pumps = [asyncio.create_task(self.pump(a, b, after if direction == d else 0, done))
                 for d, a, b in (("up", reader, far_writer), ("down", far_reader, writer))]
        tasks = [*pumps, asyncio.create_task(done.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if done.is_set():
            self.cuts.pop(0)
            await asyncio.sleep(self.rng.uniform(0, MAX_DELAY))
            self.cut(direction, after)
        for task in tasks:
            task.cancel()
        for w in (writer, far_writer):
            w.transport.abort()

    async def pump(self, reader, writer, after, done):
        boundaries = Boundaries()
        try:
            while data := await reader.read(65536):
                ends = boundaries.feed(data) if after else []
                if after and len(ends) >= after:
                    writer.write(data[:ends[after - 1]])
                    done.set()
                    await asyncio.Event().wait()  # what comes now is lost; accept() ends this
                after -= len(ends)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
