#!/usr/bin/python3
"""A mebibyte in-band (XEP-0047) and a picture by its hash (XEP-0231): between slixmpp and the programs of examples/, in
both directions, and between two of the latter. What arrives is what was sent.

  slixmpp_files.py [--binary PATH] [--server starling|prosody|ejabberd]   (examples/ is beside the binary)
"""
import hashlib
import os
import struct
import sys
import zlib
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import peers
import slix
import tools
from slix import check, soon, until
from slixmpp.exceptions import IqError

ALICE, BOB, CAROL = (f"{name}@{peers.DOMAIN}/desk" for name in ("alice", "bob", "carol"))
PLUGINS = ["xep_0030", ("xep_0047", {"auto_accept": True, "max_block_size": 8192}), "xep_0071", "xep_0231"]
OPEN = "{http://jabber.org/protocol/ibb}open"
IMG = "{http://www.w3.org/1999/xhtml}img"
MEBIBYTE = os.urandom(1 << 20)
LARGEST = 65535  # that a block may be


def png(side):
    """One of random colours: noise that no compression makes smaller."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + os.urandom(3 * side) for _ in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


PICTURE, SMALL = png(48), png(12)  # close to the 8 KiB that are the most, and under the 1 KiB that may come along


def cid_of(data):
    return f"sha1+{hashlib.sha1(data).hexdigest()}@bob.xmpp.org"


class Peer(slix.Client):
    """Keeps what streams bring, and notes what block sizes it was asked for."""

    def __init__(self):
        super().__init__("alice", "desk", PLUGINS)
        self.asked, self.agreed, self.got = [], [], []
        self.add_filter("in", self.look)
        self.add_event_handler("ibb_stream_start", self.on_stream)

    def look(self, stanza):
        opening = stanza.xml.find(OPEN) if stanza.name == "iq" else None
        if opening is not None:
            self.asked.append(int(opening.get("block-size")))
        return stanza

    async def on_stream(self, stream):
        self.agreed.append(stream.block_size)
        self.got.append(await stream.gather())

    async def open_what_is_taken(self, jid, block_size):
        """A stream with the largest block that the other takes, of this size and its halves."""
        refused = []
        while True:
            try:
                return await soon(self["xep_0047"].open_stream(jid, block_size=block_size)), refused
            except IqError as e:
                refused.append((block_size, e.condition))
                block_size //= 2


async def waiting(program):
    line = await soon(program.stdout.readline())
    check("it says that it waits", line.startswith(b"waiting as "))


async def to_slixmpp(peer, programs, folder):
    (folder / "sent").write_bytes(MEBIBYTE)
    code, out, err = await programs.run("transfer", "-f", "sent", "-t", ALICE, "--block", LARGEST)
    check("a mebibyte is sent to slixmpp", code == 0 and out == f"sent {len(MEBIBYTE)} bytes\n" and not err)
    await until(lambda: peer.got)
    check("and arrives equal", peer.got == [MEBIBYTE])
    check("in blocks halved until slixmpp took them", peer.asked == [LARGEST, 32767, 16383, 8191] and
          peer.agreed == [8191])


async def from_slixmpp(peer, programs, folder):
    receiver = await programs.start("transfer", "-f", "received", "--block", 4096)
    await waiting(receiver)
    stream, refused = await peer.open_what_is_taken(BOB, 16384)
    check("slixmpp's blocks are refused while they are too large", stream.block_size == 4096 and
          refused == [(16384, "resource-constraint"), (8192, "resource-constraint")])
    await soon(stream.sendall(MEBIBYTE))
    await soon(stream.close())
    code, out, err = await programs.end(receiver, "transfer")
    check("a mebibyte comes from slixmpp", code == 0 and not err and
          out == f"received {len(MEBIBYTE)} bytes from {ALICE}\n")
    check("and is equal", (folder / "received").read_bytes() == MEBIBYTE)


async def among_ourselves(programs, folder):
    receiver = await programs.start("transfer", "-f", "copy", "--block", 3000, jid=CAROL)
    await waiting(receiver)
    code, out, err = await programs.run("transfer", "-f", "sent", "-t", CAROL, "--block", LARGEST)
    check("a mebibyte is sent from library to library", code == 0 and not err)
    code, out, err = await programs.end(receiver, "transfer")
    check("and arrives equal", code == 0 and out == f"received {len(MEBIBYTE)} bytes from {BOB}\n" and
          (folder / "copy").read_bytes() == MEBIBYTE)

    (folder / "sent.png").write_bytes(PICTURE)
    watcher = await programs.start("picture", "-f", "copy.png", jid=CAROL)
    await waiting(watcher)
    code, out, err = await programs.run("picture", "-f", "sent.png", "-t", CAROL)
    check("a picture is shown from library to library", code == 0 and out == f"{CAROL} has seen {cid_of(PICTURE)}\n")
    code, out, err = await programs.end(watcher, "picture")
    check("and arrives equal", code == 0 and out == f"image/png {cid_of(PICTURE)}\n" and
          (folder / "copy.png").read_bytes() == PICTURE)


async def picture_to_slixmpp(peer, programs, folder):
    shown = []
    peer.add_event_handler("message", shown.append)
    (folder / "sent.png").write_bytes(PICTURE)
    sender = await programs.start("picture", "-f", "sent.png", "-t", ALICE)
    await until(lambda: shown)
    cid = shown[0].xml.find(f".//{IMG}").get("src").removeprefix("cid:")
    check("a picture is shown to slixmpp by the hash of its data", cid == cid_of(PICTURE))
    answer = await soon(peer["xep_0231"].get_bob(jid=shown[0]["from"], cid=cid, cached=False))
    check("and arrives equal", answer["bob"]["data"] == PICTURE)
    check("with type and name", answer["bob"]["type"] == "image/png" and answer["bob"]["cid"] == cid)
    code, out, err = await programs.end(sender, "picture")
    check("the sender knows it", code == 0 and out == f"{ALICE} has seen {cid}\n" and not err)


async def picture_from_slixmpp(peer, programs, folder):
    def show(picture):
        message = peer.make_message(BOB, "Look, a picture")
        message["html"]["body"] = f"<p><img alt='a picture' src='cid:{cid_of(picture)}'/></p>"
        return message

    async def is_saved(picture, watcher):
        code, out, err = await programs.end(watcher, "picture")
        return code == 0 and out == f"image/png {cid_of(picture)}\n" and not err and \
            (folder / "received.png").read_bytes() == picture

    watcher = await programs.start("picture", "-f", "received.png")
    await waiting(watcher)
    cid = await peer["xep_0231"].set_bob(PICTURE, "image/png")
    show(PICTURE).send()
    check("a picture of slixmpp's is asked for and arrives equal", await is_saved(PICTURE, watcher))
    peer["xep_0231"].del_bob(cid)

    watcher = await programs.start("picture", "-f", "received.png")
    await waiting(watcher)
    message = show(SMALL)
    message["bob"]["cid"], message["bob"]["type"], message["bob"]["data"] = cid_of(SMALL), "image/png", SMALL
    message.send()
    check("a small one comes along and arrives equal", await is_saved(SMALL, watcher))


async def play(server, path):
    programs = slix.Programs(tools.Examples(path, server.dir, slix.where(server)), BOB)
    peer = Peer()
    await peer.log_in(server)
    await to_slixmpp(peer, programs, server.dir)
    await from_slixmpp(peer, programs, server.dir)
    await picture_to_slixmpp(peer, programs, server.dir)
    await picture_from_slixmpp(peer, programs, server.dir)
    await peer.log_out()
    await among_ourselves(programs, server.dir)


if __name__ == "__main__":
    sys.exit(slix.main(__doc__, ["alice", "bob", "carol"], play))
