#!/usr/bin/python3
"""Two people on slixmpp: they subscribe to each other, see each other's presence and chat, over TLS.

  slixmpp_chat.py [--binary PATH] [--server starling|prosody|ejabberd]
"""
import asyncio
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import peers
import slix
from slix import SECONDS, check, soon, until


class Person(slix.Client):
    def __init__(self, name, resource):
        super().__init__(name, resource, ["xep_0030", "xep_0049", "xep_0054", "xep_0085", "xep_0092", "xep_0115",
                                          "xep_0184", "xep_0199", "xep_0202"])
        self.auto_authorize = self.auto_subscribe = True
        self.messages, self.receipts, self.states = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        self.online = {}
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("receipt_received", lambda m: self.receipts.put_nowait(m["receipt"]))
        self.add_event_handler("chatstate_composing", lambda m: self.states.put_nowait(str(m["from"])))
        self.add_event_handler("got_online", lambda p: self.online.update({str(p["from"]): p}))
        self.add_event_handler("got_offline", lambda p: self.online.pop(str(p["from"]), None))

    def on_message(self, message):
        if message["type"] in ("chat", "normal") and message["body"]:
            self.messages.put_nowait(message)


async def talk(server, _):
    juliet, romeo = Person("juliet", "balcony"), Person("romeo", "orchard")
    await asyncio.gather(juliet.log_in(server), romeo.log_in(server))
    check("both log in", True)
    check("both streams are encrypted", all(p.transport.get_extra_info("ssl_object") for p in (juliet, romeo)))
    check("the resource asked for is bound", juliet.boundjid.full == f"juliet@{peers.DOMAIN}/balcony")

    romeo.send_presence_subscription(pto="juliet@" + peers.DOMAIN)
    await until(lambda: juliet.client_roster["romeo@" + peers.DOMAIN]["subscription"] == "both"
                and romeo.client_roster["juliet@" + peers.DOMAIN]["subscription"] == "both")
    check("both rosters say `both`", True)
    await until(lambda: romeo.boundjid.full in juliet.online and juliet.boundjid.full in romeo.online)
    check("each sees the other's presence", True)
    romeo.send_presence(pshow="away", pstatus="in the orchard")
    seen_by_juliet = juliet.client_roster["romeo@" + peers.DOMAIN].resources
    await until(lambda: seen_by_juliet.get("orchard", {}).get("show") == "away")
    check("a change of presence is seen", seen_by_juliet["orchard"]["status"] == "in the orchard")

    first = romeo.make_message(mto="juliet@" + peers.DOMAIN, mbody="She speaks: ÿ € 😀 <&>", mtype="chat")
    first["request_receipt"] = True
    first.send()
    got = await soon(juliet.messages.get())
    check("a message reaches the bare address", (got["body"], got["from"].full) ==
          ("She speaks: ÿ € 😀 <&>", romeo.boundjid.full))
    check("its receipt comes back", await soon(romeo.receipts.get()) == first["id"])
    got.reply("O Romeo, Romeo").send()
    back = await soon(romeo.messages.get())
    check("the answer reaches the full address", (back["body"], back["from"].full) ==
          ("O Romeo, Romeo", juliet.boundjid.full))
    state = romeo.make_message(mto=juliet.boundjid.full, mtype="chat")
    state["chat_state"] = "composing"
    state.send()
    check("a chat state passes", await soon(juliet.states.get()) == romeo.boundjid.full)

    check("the server answers a ping", await soon(romeo["xep_0199"].ping(peers.DOMAIN, timeout=SECONDS)) is not None)
    check("a client answers a ping", await soon(romeo["xep_0199"].ping(juliet.boundjid, timeout=SECONDS)) is not None)
    info = await soon(romeo["xep_0030"].get_info(jid=peers.DOMAIN))
    check("disco finds a server", any(i[0] == "server" for i in info["disco_info"]["identities"]))
    version = await soon(romeo["xep_0092"].get_version(peers.DOMAIN))
    check("the server has a version", bool(version["software_version"]["version"]))
    card = romeo["xep_0054"].make_vcard()
    card["FN"] = "Romeo Montague"
    await soon(romeo["xep_0054"].publish_vcard(card))
    seen = await soon(juliet["xep_0054"].get_vcard(romeo.boundjid.bare, cached=False))
    check("a vCard is published and fetched", seen["vcard_temp"]["FN"] == "Romeo Montague")

    await juliet.log_out()
    await until(lambda: juliet.boundjid.full not in romeo.online)
    check("going offline is seen", True)
    romeo.send_message(mto="juliet@" + peers.DOMAIN, mbody="Good night", mtype="chat")
    await soon(romeo["xep_0199"].ping(peers.DOMAIN, timeout=SECONDS))
    again = Person("juliet", "chamber")
    again.connect(("127.0.0.1", server.port))
    kept = await soon(again.messages.get())
    check("a message sent meanwhile is delivered on return", kept["body"] == "Good night" and
          kept.xml.find("{urn:xmpp:delay}delay") is not None)
    await asyncio.gather(romeo.log_out(), again.log_out())
    check("both streams close", True)


if __name__ == "__main__":
    sys.exit(slix.main(__doc__, ["juliet", "romeo"], talk))
