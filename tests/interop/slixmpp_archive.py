#!/usr/bin/python3
"""Two people on slixmpp and their archives (XEP-0313): one is away for a while and reads what was said, page by page in
both directions (XEP-0059), of a contact and of a time; preferences (XEP-0441), and a second client that makes one list
of copies, live messages and the archive by their names (XEP-0359).

  slixmpp_archive.py [--binary PATH] [--server starling|prosody|ejabberd]
"""
import asyncio
import sys
from datetime import timedelta
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import peers
import slix
from slix import SECONDS, check, soon, until
from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ET

JULIET, ROMEO, NURSE = (f"{name}@{peers.DOMAIN}" for name in ("juliet", "romeo", "nurse"))
PLUGINS = ["xep_0030", "xep_0049", "xep_0199", "xep_0280", "xep_0313", "xep_0359", "xep_0441"]
people = []  # who has logged out as well: slixmpp's tasks last until the end
RETRACT = "urn:xmpp:message-retract:1"  # slixmpp 1.8 has an earlier version of XEP-0424


class Person(slix.Client):
    """Notes the messages with a body that come live or late, and copies: (name in the own archive, body)."""

    def __init__(self, name, resource):
        super().__init__(name, resource, PLUGINS)
        people.append(self)
        self.got, self.copies = [], []
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("carbon_received", lambda m: self.copies.append(self.named(m["carbon_received"])))
        self.add_event_handler("carbon_sent", lambda m: self.copies.append(self.named(m["carbon_sent"])))

    def on_message(self, message):
        if message["body"]:
            self.got.append(self.named(message))

    def named(self, message):
        ids = message.xml.findall("{urn:xmpp:sid:0}stanza-id")
        own = [i.get("id") for i in ids if i.get("by") == self.boundjid.bare]
        return own[0] if len(own) == 1 else None, message["body"]

    def say(self, to, *bodies):
        for body in bodies:
            self.send_message(mto=to, mbody=body, mtype="chat")

    async def hears(self, *bodies):
        await until(lambda: [body for _, body in self.got[-len(bodies):]] == list(bodies))

    async def settle(self):
        """A write of one's own is answered after those before it; the second one after all that were under way."""
        for i in range(2):
            iq = self.make_iq_set()
            query = ET.SubElement(iq.xml, "{jabber:iq:private}query")
            ET.SubElement(query, "{urn:example:settled}x").text = str(i)
            await soon(iq.send(timeout=SECONDS))

    async def read(self, **query):
        """All pages of an answer, slixmpp's way: (name, body) of each message, oldest first in each page."""
        pages = []
        async with asyncio.timeout(SECONDS):
            async for page in self["xep_0313"].retrieve(iterator=True, **query):
                pages.append([self.result(m) for m in page["mam"]["results"]])
        return pages

    async def read_one(self, **query):
        return [one for page in await self.read(**query) for one in page]

    def result(self, message):
        result = message["mam_result"]
        return result["id"], result["forwarded"]["stanza"]["body"]


def bodies(results):
    return [body for _, body in results]


async def catch_up(server, romeo):
    """Juliet goes, is written to and comes back."""
    juliet = Person("juliet", "balcony")
    await juliet.log_in(server)
    info = await soon(juliet["xep_0030"].get_info(jid=JULIET))
    check("an account has an archive, and more than the least", {"urn:xmpp:mam:2", "urn:xmpp:mam:2#extended",
                                                                 "urn:xmpp:sid:0"} <= info["disco_info"]["features"])
    form = await soon(juliet["xep_0313"].get_fields(jid=JULIET))
    check("its form has the fields of the specification", {"with", "start", "end", "before-id", "after-id", "ids"} <=
          set(form.get_fields()))
    check("an empty archive has no pages", await juliet.read() == [])
    empty = (await soon(juliet["xep_0313"].get_archive_metadata()))["mam_metadata"].xml
    check("and no ends", len(empty) == 0)

    romeo.say(JULIET, "1", "2")
    await juliet.hears("1", "2")
    juliet.say(ROMEO, "3")
    await romeo.hears("3")
    await juliet.settle()
    await romeo.settle()
    seen = await juliet.read_one()
    check("what was said is there in order", bodies(seen) == ["1", "2", "3"])
    check("under the names that came with it", seen[:2] == juliet.got)
    check("and the other has the same", bodies(await romeo.read_one()) == ["1", "2", "3"])
    await juliet.log_out()

    away = [str(n) for n in range(4, 16)]
    romeo.say(JULIET, *away)
    await soon(romeo["xep_0199"].ping(peers.DOMAIN, timeout=SECONDS))
    again = Person("juliet", "chamber")
    await again.log_in(server)
    await again.hears(*away)
    await again.settle()
    pages = await again.read(rsm={"max": 5})
    check("she comes back and reads it all forward, in pages of five", [len(p) for p in pages] == [5, 5, 5])
    everything = [one for page in pages for one in page]
    check("which is what was said, in order", bodies(everything) == ["1", "2", "3", *away])
    check("and has the names that the late messages have", everything[3:] == again.got)
    back = await again.read(rsm={"max": 4}, reverse=True)
    check("backward the pages come the other way", [bodies(p) for p in back] ==
          [["12", "13", "14", "15"], ["8", "9", "10", "11"], ["4", "5", "6", "7"], ["1", "2", "3"]])
    check("and have the same", [one for page in reversed(back) for one in page] == everything)
    last = seen[-1][0]
    missed = await soon(again["xep_0313"].retrieve(rsm={"after": last, "max": 50}))
    check("and there is all that came after the last that she knew", missed["mam_fin"].xml.get("complete") == "true" and
          list(map(again.result, missed["mam"]["results"])) == everything[3:])
    return again, everything


async def filters(server, juliet, everything):
    nurse = Person("nurse", "house")
    await nurse.log_in(server)
    nurse.say(JULIET, "Madam!", "Your lady mother calls")
    await juliet.hears("Madam!", "Your lady mother calls")
    juliet.say(JULIET, "a note to myself")
    await juliet.hears("a note to myself")
    await juliet.settle()
    check("the nurse's messages alone", bodies(await juliet.read_one(with_jid=NURSE)) ==
          ["Madam!", "Your lady mother calls"])
    check("Romeo's alone, in pages", [len(p) for p in await juliet.read(with_jid=ROMEO, rsm={"max": 8})] == [8, 7])
    check("her own notes", bodies(await juliet.read_one(with_jid=JULIET)) == ["a note to myself"])

    ends = (await soon(juliet["xep_0313"].get_archive_metadata()))["mam_metadata"]
    check("the archive begins where it does", ends["start"]["id"] == everything[0][0])
    first, last = ends["start"]["timestamp"], ends["end"]["timestamp"]
    total = len(everything) + 3
    check("a time that is all of it", len(await juliet.read_one(start=first, end=last)) == total)
    check("the time before", await juliet.read_one(end=first - timedelta(hours=1)) == [])
    check("the time after", await juliet.read_one(start=last + timedelta(hours=1)) == [])
    newest = await juliet.read_one(start=last)
    check("the last moment", newest and newest[-1][1] == "a note to myself")
    try:
        await soon(juliet["xep_0313"].retrieve(rsm={"after": "nonsense"}))
        check("a page behind what is not there is refused", False)
    except IqError as e:
        check("a page behind what is not there is refused", e.condition == "item-not-found")
    try:
        await soon(nurse["xep_0313"].retrieve(jid=JULIET))
        check("the nurse does not read Juliet's archive", False)
    except IqError as e:
        check("the nurse does not read Juliet's archive", e.condition == "forbidden")
    return nurse


async def one_list(server, juliet, romeo):
    """A second client has live messages, copies and the archive, and shows each message once."""
    other = Person("juliet", "garden")
    await other.log_in(server)
    await soon(other["xep_0280"].enable())
    before = await other.read_one(rsm={"max": 50})
    romeo.say(juliet.boundjid.full, "to the chamber")
    await juliet.hears("to the chamber")
    romeo.say(other.boundjid.full, "to the garden")
    await other.hears("to the garden")
    juliet.say(ROMEO, "from the chamber")
    await romeo.hears("from the chamber")
    await until(lambda: len(other.copies) == 2)
    check("copies come of what the other client gets and sends", bodies(other.copies) ==
          ["to the chamber", "from the chamber"])
    check("a copy of what it gets has its name in the archive", other.copies[0] == juliet.got[-1])
    await juliet.settle()
    await romeo.settle()
    after = await other.read_one(rsm={"max": 50})
    check("the archive has each once", bodies(after[len(before):]) ==
          ["to the chamber", "to the garden", "from the chamber"] and after[:len(before)] == before)
    names = [name for name, _ in after]
    check("no two have one name", len(set(names)) == len(names))
    named = {name: body for name, body in other.copies + other.got if name}
    merged = dict(after)
    check("live messages and copies add nothing to it", {**merged, **named} == merged)
    await other.log_out()


async def preferences(juliet, romeo, nurse):
    prefs = juliet["xep_0441"]
    check("everything is kept unless one says otherwise", (await soon(prefs.get_preferences()))[0] == "always")
    await soon(prefs.set_preferences("always", always=[ROMEO], never=[NURSE]))
    check("preferences stay as they were set", await soon(prefs.get_preferences()) == ("always", {ROMEO}, {NURSE}))
    count = len(await juliet.read_one(rsm={"max": 50}))
    nurse.say(JULIET, "between us")
    await juliet.hears("between us")
    romeo.say(JULIET, "for ever")
    await juliet.hears("for ever")
    check("what is not kept has no name", [name is None for name, _ in juliet.got[-2:]] == [True, False])
    await juliet.settle()
    check("and is not in the archive", bodies((await juliet.read_one(rsm={"max": 50}))[count:]) == ["for ever"])
    await nurse.settle()
    check("the other side's is another matter", bodies(await nurse.read_one())[-1] == "between us")
    await soon(prefs.set_preferences("always", always=[], never=[]))


async def retraction(juliet, romeo):
    message = romeo.make_message(mto=JULIET, mbody="wrong window", mtype="chat")
    message.send()
    await juliet.hears("wrong window")
    taken_back = romeo.make_message(mto=JULIET, mbody="/me took a message back", mtype="chat")
    ET.SubElement(taken_back.xml, f"{{{RETRACT}}}retract").set("id", message["id"])
    taken_back.send()
    await juliet.hears("/me took a message back")
    await juliet.settle()
    await juliet.settle()
    last_page = await soon(anext(juliet["xep_0313"].retrieve(iterator=True, reverse=True, rsm={"max": 2})))
    grave, retract = (m["mam_result"]["forwarded"]["stanza"] for m in last_page["mam"]["results"])
    stone = grave.xml.find(f"{{{RETRACT}}}retracted")
    check("a retracted message is a tombstone", stone is not None and not grave["body"] and
          (grave["id"], stone.get("id")) == (message["id"], taken_back["id"]))
    check("and its retraction is kept", retract["id"] == taken_back["id"])


async def play(server, _):
    romeo = Person("romeo", "orchard")
    await romeo.log_in(server)
    juliet, everything = await catch_up(server, romeo)
    nurse = await filters(server, juliet, everything)
    await one_list(server, juliet, romeo)
    await preferences(juliet, romeo, nurse)
    await retraction(juliet, romeo)
    await asyncio.gather(*(p.log_out() for p in (juliet, romeo, nurse)))


if __name__ == "__main__":
    sys.exit(slix.main(__doc__, ["juliet", "romeo", "nurse"], play))
