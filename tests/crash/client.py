"""Clients with stream management (XEP-0198) that number what they send and write down what they are told and get.

A client keeps its session over every loss of its connection: it resumes, and sends again what is not acknowledged;
if the server does not resume, it begins anew, and sends it again all the same. It never gives up while `present`.
"""
import asyncio
import time
from collections import deque
from xml.parsers.expat import ExpatError

import peers
import xmpp

NS_SM = "urn:xmpp:sm:3"
LOGIN_SECONDS = 20
RETRY_SECONDS = 0.02
EXPECTED_ENDS = {"conflict", "system-shutdown", "connection-timeout"}  # stream errors that are no complaint


class Book:
    """All that is known of one direction of a pair: what was sent, and what became of it."""

    def __init__(self, sender, receiver):
        self.title = f"{sender} to {receiver}"
        self.sent = 0  # the last number; the first is 1
        self.acknowledged, self.refused, self.first = set(), set(), {}
        self.highest = self.latest = 0
        self.repeated = self.disordered = 0
        self.again = {}    # session: the numbers that it got more than once
        self.seen = set()  # (session, number)
        self.senders = {}  # number: the session it was sent in last, and the server's life
        self.sent_anew = set()  # numbers that were sent in more than one
        self.notes = {}  # the numbers of which it is true

    def note(self, what, number):
        self.notes.setdefault(what, []).append(number)

    def receive(self, number, session):
        self.latest = number
        if number in self.first:
            self.repeated += 1
            if (session, number) in self.seen:
                self.again.setdefault(session, []).append(number)
        else:
            self.first[number] = session
            if number < self.highest:
                self.disordered += 1
                self.note(f"after {self.highest} in session {session}", number)
            self.highest = max(self.highest, number)
        self.seen.add((session, number))

    def send(self, number, session, life):
        if self.senders.setdefault(number, (session, life)) != (session, life):
            self.sent_anew.add(number)
            self.senders[number] = session, life

    def twice(self, resumed):
        """By session of the receiver, of those that were resumed."""
        return {session: numbers for session, numbers in self.again.items() if session in resumed}

    def missing(self):
        return sorted(self.acknowledged - self.refused - self.first.keys())

    def bounced_falsely(self):
        """Delivered, and refused all the same. What was sent anew may well meet both: the first time it was delivered
        before it was acknowledged, and then the server died."""
        return sorted((self.refused & self.first.keys()) - self.sent_anew)

    def settled(self):
        return len(self.first.keys() | self.refused) == self.sent


class Client:
    """`connect` opens a connection as (reader, writer); `hook(point, client)` is called at the points of a session."""

    def __init__(self, name, partner, domain, connect, rng, hook, window=32, pause=0.0, padding=0, forgets=0.0):
        self.name, self.partner, self.domain = name, partner, domain
        self.connect, self.rng, self.hook = connect, rng, hook
        self.window, self.pause, self.forgets = window, pause, forgets
        self.padding = "." * padding
        self.out = Book(name, partner)
        self.incoming = None  # the partner's `out`
        self.session = None   # its id
        self.server_life = 0  # the one it is connected to
        self.unacknowledged, self.base, self.received = deque(), 0, 0
        self.pings, self.pinged = {}, 0
        self.resumed = self.refused_sessions = self.bound = 0
        self.resumed_sessions = set()
        self.complaints = []
        self.history = []  # (time, what) of its sessions, to be read when something went wrong
        self.writer = None
        self.live = False
        self.present, self.talking, self.room = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.present.set()

    def log(self, what):
        waiting = [number for number in self.unacknowledged if number]
        self.history.append((time.time(), f"{self.name}: {what}; session {self.session}: received {self.received}, the "
                                          f"last message {self.incoming.latest}; {self.base} acknowledged, not "
                                          f"{f'{waiting[0]} to {waiting[-1]}' if waiting else 'any more'}"))

    # -- the connection

    async def run(self):
        while True:
            await self.present.wait()
            talk = None
            try:
                self.reader, self.writer = await self.connect(self)
                await asyncio.wait_for(self.log_in(), LOGIN_SECONDS)
                self.live = True
                talk = asyncio.create_task(self.talk())
                while True:
                    self.take(await self.next_stanza())
            except (OSError, EOFError, ExpatError):  # a torn end may be no XML
                pass
            except TimeoutError:
                self.complaints.append(f"{self.name}: no login within {LOGIN_SECONDS} s")
            except xmpp.Failure as e:
                self.complaints.append(f"{self.name}: {e}")
            finally:
                self.log("lost its connection")
                self.live = False
                if talk:
                    talk.cancel()
                self.drop()
            await asyncio.sleep(RETRY_SECONDS)

    def drop(self):
        if self.writer:
            self.writer.transport.abort()
            self.writer = None

    def leave(self):
        """Its link breaks, and it stays away."""
        self.present.clear()
        self.drop()

    def write(self, text):
        if self.writer and not self.writer.is_closing():
            self.writer.write(text.encode())

    async def next_event(self):
        while not self.parser.events:
            data = await self.reader.read(65536)
            if not data:
                raise EOFError
            self.parser.feed(data)
        return self.parser.events.pop(0)

    async def next_stanza(self):
        kind, element = await self.next_event()
        if kind != "stanza":
            raise EOFError
        if (element.ns, element.name) == (xmpp.NS_STREAM, "error"):
            conditions = [e.name for e in element.elements() if e.ns == xmpp.NS_STREAMS]
            if not EXPECTED_ENDS.intersection(conditions):
                raise xmpp.Failure(f"stream error {element.to_xml()}")
            raise EOFError
        return element

    # -- login

    async def open_stream(self):
        self.parser = xmpp.Parser()
        self.write(f"<?xml version='1.0'?><stream:stream to='{self.domain}' xmlns='{xmpp.NS_CLIENT}' "
                   f"xmlns:stream='{xmpp.NS_STREAM}' version='1.0'>")
        if (await self.next_event())[0] != "stream":
            raise EOFError
        return await self.next_stanza()

    async def log_in(self):
        await self.open_stream()
        plain = xmpp.b64(f"\0{self.name}\0{peers.password_of(self.name)}".encode())
        self.write(f"<auth xmlns='{xmpp.NS_SASL}' mechanism='PLAIN'>{plain}</auth>")
        answer = await self.next_stanza()
        if answer.name != "success":
            raise xmpp.Failure(f"login answered {answer.to_xml()}")
        await self.open_stream()
        if self.session and self.rng.random() < self.forgets:
            self.log("forgets its session")
            self.session = None
        if self.session and await self.resume():
            self.resumed += 1
            self.resumed_sessions.add(self.session)
            again = list(self.unacknowledged)
            self.unacknowledged.clear()
        else:
            again = await self.begin()
        for number in again:
            self.send(number)
        self.ask()

    async def resume(self):
        self.write(f"<resume xmlns='{NS_SM}' previd='{self.session}' h='{self.received}'/>")
        self.hook("resume", self)
        answer = await self.next_stanza()
        self.log(f"{answer.name} h={answer.get('h')}")
        if answer.get("h"):
            self.acknowledge(int(answer.get("h")))
        if answer.name == "resumed":
            self.hook("resumed", self)
            return True
        if answer.name != "failed":
            raise xmpp.Failure(f"<resume/> answered {answer.to_xml()}")
        self.refused_sessions += 1
        self.session = None
        return False

    async def begin(self):
        self.write(f"<iq type='set' id='bind'><bind xmlns='{xmpp.NS_BIND}'><resource>crash</resource></bind></iq>")
        answer = await self.next_stanza()
        if answer.get("type") != "result":
            raise xmpp.Failure(f"bind answered {answer.to_xml()}")
        self.write(f"<enable xmlns='{NS_SM}' resume='true'/>")
        answer = await self.next_stanza()
        if answer.name != "enabled" or not answer.get("id"):
            raise xmpp.Failure(f"<enable/> answered {answer.to_xml()}")
        self.session, self.base, self.received = answer.get("id"), 0, 0
        self.bound += 1
        self.log("begins anew")
        again = [number for number in self.unacknowledged if number]
        self.unacknowledged.clear()
        self.count(0, "<presence/>")
        return again

    # -- sending. A number is a message's, 0 another stanza's.

    def count(self, number, xml):
        self.unacknowledged.append(number)
        self.write(xml)

    def send(self, number):
        """Every time the same bytes for the same number."""
        if number == 0 or number in self.out.refused:  # something to be counted in its place
            self.count(0, "<presence/>")
            return
        self.out.send(number, self.session, self.server_life)
        ident = f"{self.name}-{number}"
        self.count(number, f"<message to='{self.partner}@{self.domain}' type='chat' id='{ident}'><body>{number}</body>"
                           f"<origin-id xmlns='urn:xmpp:sid:0' id='{ident}'/>{self.filling()}</message>")

    def filling(self):
        return f"<x xmlns='urn:example:padding'>{self.padding}</x>" if self.padding else ""

    def ask(self):
        self.write(f"<r xmlns='{NS_SM}'/>")

    async def talk(self):
        while True:
            await self.talking.wait()
            room = self.window - len(self.unacknowledged)
            if room <= 0:
                self.room.clear()
                await self.room.wait()
                continue
            burst = self.rng.randint(1, room)
            for left in range(burst, 0, -1):
                self.out.sent += 1
                self.send(self.out.sent)
                if left % 5 == 1:
                    self.ask()
            self.hook("burst", self)
            await asyncio.sleep(self.rng.uniform(0, self.pause) if self.pause else 0)

    def acknowledge(self, h):
        new = (h - self.base) & 0xFFFFFFFF
        if new > len(self.unacknowledged):
            self.complaints.append(f"{self.name}: h='{h}' after {self.base} and with {len(self.unacknowledged)} "
                                   f"to be acknowledged, session {self.session}")
            return
        self.base = h
        for _ in range(new):
            number = self.unacknowledged.popleft()
            if number:
                self.out.acknowledged.add(number)
        if new:
            self.room.set()
            self.hook("ack", self)

    # -- receiving

    def take(self, element):
        if element.ns == NS_SM:
            if element.name == "r":
                self.answer()
            elif element.name == "a":
                self.acknowledge(int(element.get("h")))
            return
        self.received = (self.received + 1) & 0xFFFFFFFF
        if element.name == "message":
            self.take_message(element)
        elif element.name == "iq" and element.get("id") in self.pings:
            self.pings.pop(element.get("id")).set_result(None)

    def take_message(self, element):
        name, _, number = element.get("id", "").rpartition("-")
        if element.get("type") == "error" and name == self.name:
            self.out.refused.add(int(number))
        elif name == self.partner:
            self.incoming.receive(int(number), self.session)
            self.hook("message", self)
        else:
            self.complaints.append(f"{self.name}: received {element.to_xml()}")

    def answer(self):
        """At once, or a moment later: what is not acknowledged yet is the server's to keep."""
        writer, h = self.writer, self.received

        def answer():
            if self.writer is writer:
                self.write(f"<a xmlns='{NS_SM}' h='{h}'/>")

        if self.rng.random() < 0.7:
            answer()
        else:
            asyncio.get_running_loop().call_later(self.rng.uniform(0, 0.03), answer)

    async def ping(self):
        """Once it is answered, everything that the server sent before has come."""
        self.pinged += 1
        ident = f"ping-{self.pinged}"
        self.pings[ident] = asyncio.get_running_loop().create_future()
        self.count(0, f"<iq type='get' id='{ident}' to='{self.domain}'><ping xmlns='{xmpp.NS_PING}'/></iq>")
        self.ask()
        await asyncio.wait_for(self.pings[ident], LOGIN_SECONDS)

    async def close(self):
        """Acknowledges all, and ends stream and session as one should; `run` begins anew if it is present."""
        self.session = None
        self.write(f"<a xmlns='{NS_SM}' h='{self.received}'/></stream:stream>")
        while self.live:
            await asyncio.sleep(RETRY_SECONDS)
