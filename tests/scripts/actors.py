"""The script language: parsing of files, matching of stanzas, and playing of one scenario. README.md is its manual."""
import re
import sys
import time
from pathlib import Path
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape, quoteattr

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import peers
import xmpp
from xmpp import Element, Failure

SECONDS = 5  # what a server may take for any one answer
TOKEN = re.compile(r"\{([^{}]*)\}")


class ScriptError(Exception):
    """The script itself is wrong."""


# -- files ---------------------------------------------------------------------

class Statement:
    def __init__(self, line, text):
        self.line, self.text = line, text


class Scenario:
    def __init__(self, path, line, title):
        self.path, self.line, self.title = path, line, title
        self.statements, self.only, self.excluded = [], None, {}

    def reason_to_skip(self, server):
        if self.only and server not in self.only[0]:
            return self.only[1]
        return self.excluded.get(server)


def statements(path):
    """Lines joined into statements: a line indented deeper than the first of its statement continues it."""
    result, indent = [], 0
    for number, raw in enumerate(Path(path).read_text().splitlines(), 1):
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        depth = len(raw) - len(raw.lstrip())
        if result and depth > indent and ":" in result[-1].text and not result[-1].text.startswith("scenario "):
            result[-1].text += "\n" + raw.strip()
            continue
        text = raw.strip()
        if ":" not in text:
            text = text.split(" #")[0].rstrip()
        result.append(Statement(number, text))
        indent = depth
    return result


def expand(text, macros):
    """The text with what the file's `let`s stand for; {NAME a b} may hold others."""
    m = re.search(r"\{(%s)(?=[ }])" % "|".join(macros), text) if macros else None
    if not m:
        return text
    depth, end = 1, m.end()
    while depth:
        if end == len(text):
            raise ScriptError(f"{{{m[1]} is not closed")
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    body = macros[m[1]]
    count = max(map(int, re.findall(r"\$(\d)", body)), default=0)
    given = text[m.end():end - 1].split(maxsplit=count - 1) if count else []  # the last one takes the rest
    filled = re.sub(r"\$(\d)", lambda d: given[int(d[1]) - 1] if int(d[1]) <= len(given) else "", body)
    return expand(text[:m.start()] + filled + text[end:], macros)


def load(path):
    scenarios, macros = [], {}
    for s in statements(path):
        where = f"{path}:{s.line}"
        if m := re.fullmatch(r"let (\w+): (.+)", s.text, re.S):
            macros[m[1]] = m[2]
            continue
        s.text = expand(s.text, macros)
        if m := re.fullmatch(r"scenario (.+?):?", s.text, re.S):
            scenarios.append(Scenario(path, s.line, m[1]))
        elif not scenarios:
            raise ScriptError(f"{where}: a file begins with `scenario TITLE`")
        elif s.text.startswith("cites "):
            pass
        elif m := re.fullmatch(r"only on ([\w, ]+): (.+)", s.text, re.S):
            scenarios[-1].only = (names(m[1], where), m[2])
        elif m := re.fullmatch(r"not on ([\w, ]+): (.+)", s.text, re.S):
            scenarios[-1].excluded.update({n: m[2] for n in names(m[1], where)})
        else:
            scenarios[-1].statements.append(s)
    for scenario in scenarios:  # a misspelt statement is found without playing it
        for s in scenario.statements:
            if not find_action(s.text):
                raise ScriptError(f"{path}:{s.line}: not a statement: {s.text}")
    return scenarios


def names(text, where):
    result = [n.strip() for n in text.split(",")]
    for n in result:
        if n not in peers.SERVERS:
            raise ScriptError(f"{where}: no such server: {n}")
    return result


# -- matching ------------------------------------------------------------------

class Matcher:
    """Compares what arrived with a pattern; `captures` are valid when `match` has returned None."""

    def __init__(self, lookup, exactly):
        self.lookup, self.exactly, self.captures = lookup, exactly, {}

    def text(self, pattern, actual):
        if pattern == "{none}":
            return actual is None
        if m := re.fullmatch(r"\{maybe (.*)\}", pattern):  # absent, or this
            return actual is None or actual == self.resolve(m[1])
        if actual is None:
            return False
        regex, groups, end = "", [], 0
        for m in TOKEN.finditer(pattern):
            regex += re.escape(pattern[end:m.start()])
            token, end = m[1], m.end()
            if token == "any":
                regex += ".*"
            elif token == "some":
                regex += ".+"
            elif token == "time":  # XEP-0082, in UTC
                regex += r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]00:00)"
            elif token == "number":
                regex += r"\d+"
            elif token.endswith("="):
                groups.append(token[:-1])
                regex += f"(?P<c{len(groups) - 1}>.+)"
            else:
                regex += re.escape(self.resolve(token))
        m = re.fullmatch(regex + re.escape(pattern[end:]), actual, re.S)
        if m:
            self.captures.update({name: m[f"c{i}"] for i, name in enumerate(groups)})
        return bool(m)

    def resolve(self, token):
        return self.captures[token] if token in self.captures else self.lookup(token)

    def match(self, pattern, actual, top=True):
        """None, or what differs."""
        if (pattern.ns, pattern.name) != (actual.ns, actual.name):
            return f"<{actual.name} xmlns='{actual.ns}'> is not <{pattern.name} xmlns='{pattern.ns}'>"
        for key, value in pattern.attrs.items():
            if not self.text(value, actual.attrs.get(key)):
                return f"{key}='{actual.attrs.get(key)}' in <{actual.name}> is not '{value}'"
        if self.exactly:
            extra = set(actual.attrs) - set(pattern.attrs) - ({f"{{{xmpp.NS_XML}}}lang"} if top else set())
            if extra:
                return f"<{actual.name}> has also {', '.join(sorted(extra))}"
        wanted = [c for c in pattern.elements() if c.name != "without"]
        text = pattern.text()
        if text.strip() or (self.exactly and not pattern.elements()):
            if not self.text(text, actual.text()):
                return f"text {actual.text()!r} in <{actual.name}> is not {text!r}"
        rest = actual.elements()
        for child in wanted:
            problems = []
            for candidate in rest:
                saved = dict(self.captures)
                problem = self.match(child, candidate, False)
                if problem is None:
                    rest.remove(candidate)
                    break
                self.captures = saved
                if candidate.name == child.name:
                    problems.append(problem)
            else:
                return problems[0] if problems else f"<{actual.name}> lacks <{child.name} xmlns='{child.ns}'>"
        if self.exactly and rest:
            return f"<{actual.name}> has also {rest[0].to_xml()}"
        for banned in (b for c in pattern.elements() if c.name == "without" for b in c.elements()):
            for candidate in actual.elements():
                if Matcher(self.lookup, False).match(banned, candidate, False) is None:
                    return f"<{actual.name}> has {candidate.to_xml()}"
        return None


def is_marker(element, name):
    """<without>: none of these among the children. <perhaps>: these may come as well."""
    return element.ns == xmpp.NS_CLIENT and element.name == name


def is_absence(element):
    """A server may tell that a contact has no resource at all (RFC 6121 4.3.2); a script need not expect it."""
    return element.name == "presence" and element.get("type") == "unavailable" and "/" not in element.get("from", "/")


# -- playing -------------------------------------------------------------------

ACTIONS = []


def action(pattern):
    def register(function):
        ACTIONS.append((re.compile(pattern, re.S), function))
        return function
    return register


def find_action(text):
    for regex, function in ACTIONS:
        if m := regex.fullmatch(text):
            return function, m
    return None


class Actor:
    def __init__(self, name, account, resource, connection):
        self.name, self.account, self.resource, self.connection = name, account, resource, connection


class Play:
    """One scenario on one server. Accounts are made new for each, so no scenario sees what another left."""

    serial = 0

    def __init__(self, server, scenario):
        Play.serial += 1
        self.server, self.scenario, self.suffix = server, scenario, f".{Play.serial}"
        self.actors, self.accounts, self.values, self.transcript = {}, {}, {}, []
        self.last = {}  # what each actor received last
        self.barriers = 0
        self.line = scenario.line

    def run(self):
        """None, or why it failed; self.line is where."""
        try:
            for s in self.scenario.statements:
                self.line = s.line
                function, m = find_action(s.text)
                function(self, *m.groups())
            return None
        except (Failure, ScriptError) as e:
            return str(e)
        except (ExpatError, OSError, KeyError, ValueError) as e:
            return f"{type(e).__name__}: {e}"
        finally:
            for actor in self.actors.values():
                actor.connection.close()

    def deadline(self):
        return time.monotonic() + SECONDS

    def connections(self):
        return {a.connection for a in self.actors.values()}

    def actor(self, name):
        if name not in self.actors:
            raise ScriptError(f"no actor called {name}")
        return self.actors[name]

    # -- names and values

    def account(self, name, domain=peers.DOMAIN):
        """The account behind a script's name, made when it is first used."""
        if name not in self.accounts:
            user = name + self.suffix
            self.server.add_account(user, peers.password_of(name), domain)
            self.accounts[name] = (user, domain)
        return self.accounts[name]

    def lookup(self, token):
        """The value of {token}: a captured value, an actor's address, or a function of the README's list."""
        if token in self.values:
            return self.values[token]
        fixed = {"domain": peers.DOMAIN, "second": peers.SECOND, "serial": self.suffix[1:]}
        if token in fixed:
            return fixed[token]
        if m := re.fullmatch(r"plain (\S+?)(?: (\S+))?", token):
            user, _ = self.account(m[1])
            return xmpp.b64(f"\0{user}\0{m[2] or peers.password_of(m[1])}".encode())
        if m := re.fullmatch(r"base64 (.*)", token):
            return xmpp.b64(m[1].replace("\\0", "\0").encode())
        if m := re.fullmatch(r"(\d+) times (.+)", token, re.S):
            return m[2] * int(m[1])
        name, _, part = token.partition(".")
        actor = self.actors.get(name)
        if part == "new":  # a user name that is nobody's yet
            return name + self.suffix
        if actor and actor.account is None:
            raise ScriptError(f"{name} is not logged in")
        if not actor and name not in self.accounts:
            raise ScriptError(f"{{{token}}} has no value")
        account = actor.account if actor else name
        user, domain = self.accounts[account]
        bare = f"{user}@{domain}"
        if part == "" and actor:
            return actor.connection.jid or bare
        parts = {"": bare, "bare": bare, "user": user, "domain": domain, "password": peers.password_of(account)}
        if actor:
            parts["resource"] = (actor.connection.jid or "/").split("/", 1)[1]
        if part not in parts:
            raise ScriptError(f"{{{token}}} has no value")
        return parts[part]

    def fill(self, text, quote=True):
        """Innermost tokens first, so that {base64 ...} may hold others."""
        while TOKEN.search(text):
            text = TOKEN.sub(lambda m: self.quoted(m[1]) if quote else self.lookup(m[1]), text)
        return text

    def quoted(self, token):
        value = self.lookup(token)
        return value if re.match(r"\d+ times ", token) else escape(value, {"'": "&apos;"})

    # -- setting up

    @action(r"account (\w+)(?: on (second))?")
    def do_account(self, name, second):
        self.account(name, peers.SECOND if second else peers.DOMAIN)

    @action(r"client (\w+)(?:/([^\s,]+))?(?: as (\w+))?((?:, [^,]+)*)")
    def do_client(self, account, resource, alias, options):
        name = alias or account
        if name in self.actors and not self.actors[name].connection.closed:
            raise ScriptError(f"{name} is already connected; use `as`")
        chosen = [o.strip() for o in options.split(",") if o.strip()]
        domain = peers.SECOND if "on second" in chosen else peers.DOMAIN
        user, domain = self.account(account, domain)
        direct, mechanism, priority = "direct tls" in chosen, None, None
        for option in chosen:
            if m := re.fullmatch(r"mechanism (\S+)", option):
                mechanism = m[1]
            elif m := re.fullmatch(r"priority (-?\d+)", option):
                priority = m[1]
            elif option not in ("direct tls", "available", "interested", "on second"):
                raise ScriptError(f"unknown option: {option}")
        before = len(self.transcript)
        c = self.server.connect(name, self.transcript, direct)
        actor = self.actors[name] = Actor(name, account, resource, c)
        c.log_in(user, peers.password_of(account), domain, self.deadline(), mechanism, direct)
        c.bind(resource, self.deadline())
        del self.transcript[before:]
        c.note("*", f"logged in as {c.jid}")
        if "interested" in chosen:
            c.request("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>", self.deadline())
        if priority is not None or "available" in chosen:
            c.send(f"<presence><priority>{priority}</priority></presence>" if priority else "<presence/>")
            self.take(c, lambda e: e.name == "presence" and e.get("from") == c.jid, "echo of its presence")

    @action(r"connection (\w+)((?:, [^,]+)*)")
    def do_connection(self, name, options):
        chosen = [o.strip() for o in options.split(",") if o.strip()]
        direct = "direct tls" in chosen
        c = self.server.connect(name, self.transcript, direct)
        actor = self.actors[name] = Actor(name, None, None, c)
        for option in chosen:
            if option == "secure":
                c.secure(peers.DOMAIN, self.deadline())
            elif m := re.fullmatch(r"authenticated as (\w+)", option):
                user, domain = self.account(m[1])
                c.log_in(user, peers.password_of(m[1]), domain, self.deadline())
                actor.account = m[1]
            elif option == "direct tls":
                c.wrap_tls(peers.DOMAIN, self.deadline(), xmpp.client_tls(["xmpp-client"]))
            else:
                raise ScriptError(f"unknown option: {option}")

    @action(r"friends (\w+) and (\w+)")
    def do_friends(self, one, other):
        self.subscribe([(one, other), (other, one)])

    @action(r"(\w+) follows (\w+)")
    def do_follows(self, one, other):
        self.subscribe([(one, other)])

    def subscribe(self, pairs):
        """Presence subscriptions made by clients that have left again when this returns."""
        before, clients = len(self.transcript), {}
        for name in dict.fromkeys(n for pair in pairs for n in pair):
            user, domain = self.account(name)
            c = clients[name] = self.server.connect(name, self.transcript)
            c.log_in(user, peers.password_of(name), domain, self.deadline())
            c.bind("setup", self.deadline())
            c.request("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>", self.deadline())
            c.send("<presence/>")
            self.take(c, lambda e: e.name == "presence" and e.get("from") == c.jid, "echo of its presence", [c])
        for subscriber, contact in pairs:
            for sender, receiver, kind in ((subscriber, contact, "subscribe"), (contact, subscriber, "subscribed")):
                user, domain = self.accounts[receiver]
                clients[sender].send(f"<presence to='{user}@{domain}' type='{kind}'/>")
                self.take(clients[receiver], lambda e: e.name == "presence" and e.get("type") == kind, kind,
                          clients.values())
        # What says that they are gone has arrived everywhere when what is sent after it is answered there.
        for name, c in clients.items():
            c.send("<presence type='unavailable'/>")
            for user, domain in (self.accounts[other] for other in clients if other != name):
                c.send(f"<iq type='get' id='gone' to='{user}@{domain}'><vCard xmlns='vcard-temp'/></iq>")
                self.take(c, lambda e: e.name == "iq" and e.get("id") == "gone", "answer about a vCard", [c])
        for c in clients.values():
            c.send("</stream:stream>")
            while c.next_event(self.deadline(), clients.values())[0] != "eof":
                pass
            c.close()
        del self.transcript[before:]
        for subscriber, contact in pairs:
            self.transcript.append((subscriber, "*", f"is subscribed to {contact}'s presence"))

    # -- streams

    @action(r"(\w+) opens a stream(?: to (\S+))?")
    def do_open(self, name, domain):
        c = self.actor(name).connection
        c.open_stream(self.fill(domain) if domain else peers.DOMAIN)

    @action(r"(\w+) starts tls")
    def do_starttls(self, name):
        self.actor(name).connection.wrap_tls(peers.DOMAIN, self.deadline())

    @action(r"(\w+) binds(?: (\S+))?")
    def do_bind(self, name, resource):
        self.actor(name).connection.bind(resource, self.deadline())

    @action(r"(\w+) authenticates as (\w+) with (\S+)")
    def do_authenticate(self, name, account, mechanism):
        actor = self.actor(name)
        user, _ = self.account(account)
        answer = actor.connection.authenticate(user, peers.password_of(account), self.deadline(), mechanism)
        if answer.name != "success":
            raise Failure(f"login answered {answer.to_xml()}")
        actor.account = account

    @action(r"(\w+) receives stream error: (.+)")
    def do_stream_error(self, name, conditions):
        c = self.actor(name).connection
        kind, element = c.next_event(self.deadline(), self.connections())
        if kind == "stream":  # RFC 6120 4.9.1.2: an error during set-up comes after the server's header
            kind, element = c.next_event(self.deadline(), self.connections())
        if kind != "stanza" or (element.ns, element.name) != (xmpp.NS_STREAM, "error"):
            raise Failure(f"expected a stream error, got {element.to_xml() if element else kind}")
        got = [e.name for e in element.elements() if e.ns == xmpp.NS_STREAMS and e.name != "text"]
        if len(got) != 1 or got[0] not in re.split(r" or |, ", conditions):
            raise Failure(f"stream error {got} is not {conditions}")
        self.expect_end(c)

    @action(r"(\w+) is closed")
    def do_closed(self, name):
        self.expect_end(self.actor(name).connection)

    @action(r"(\w+) is cut off")
    def do_cut(self, name):
        """The connection ends, with or without a stream error and </stream:stream>."""
        c = self.actor(name).connection
        while True:
            kind, element = c.next_event(self.deadline(), self.connections())
            if kind == "eof":
                return c.close()
            if kind == "stanza" and (element.ns, element.name) != (xmpp.NS_STREAM, "error") and not is_absence(element):
                raise Failure(f"expected the end, got {element.to_xml()}")

    @action(r"(\w+) closes")
    def do_close(self, name):
        c = self.actor(name).connection
        c.send("</stream:stream>")
        self.expect_end(c)

    def expect_end(self, c):
        kind, element = c.next_event(self.deadline(), self.connections())
        while kind == "stanza" and is_absence(element):
            kind, element = c.next_event(self.deadline(), self.connections())
        if kind == "end":
            kind, element = c.next_event(self.deadline(), self.connections())
            if kind == "eof":
                return c.close()
        elif kind == "eof":
            raise Failure("the connection ended without </stream:stream>")
        raise Failure(f"expected the end of the stream, got {element.to_xml() if element else kind}")

    @action(r"(\w+) drops")
    def do_drop(self, name):
        self.actor(name).connection.close()

    # -- stanzas

    @action(r"(\w+) sends: (.+)")
    def do_send(self, name, xml):
        filled = self.fill(xml)
        xmpp.parse_fragment(filled)  # the script's own mistakes are found here
        self.actor(name).connection.send(filled)

    @action(r"(\w+) sends raw: (.+)")
    def do_send_raw(self, name, text):
        raw = self.fill(text, quote=False)
        raw = re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), raw).replace("\\n", "\n")
        # Escapes name bytes, the rest is UTF-8.
        self.actor(name).connection.send(raw.encode("latin-1") if "\\x" in text else raw)

    @action(r"(\w+) pipelines (\d+): (.+)")
    def do_pipeline(self, name, count, xml):
        """Sends them all at once, {n} being the number; each must have one result with its id, in any order."""
        c = self.actor(name).connection
        ids = set()
        text = ""
        for n in range(int(count)):
            one = self.fill(xml.replace("{n}", str(n)))
            ids.add(xmpp.parse_fragment(one)[0].get("id"))
            text += one
        c.note(">", f"[{count} of] {xml}")
        c.send(text, note=False)
        while ids:
            kind, element = c.next_event(self.deadline(), self.connections())
            if kind != "stanza" or element.get("type") != "result" or element.get("id") not in ids:
                raise Failure(f"unexpected {element.to_xml() if element else kind}")
            ids.remove(element.get("id"))

    @action(r"(\w+) receives( exactly)?: (.+)")
    def do_receive(self, name, exactly, xml):
        self.expect(self.actor(name), split_elements(xml), bool(exactly))

    @action(r"(\w+) receives( exactly)? in any order: (.+)")
    def do_receive_any_order(self, name, exactly, xml):
        self.expect(self.actor(name), split_elements(xml), bool(exactly), ordered=False)

    def expect(self, actor, patterns, exactly, ordered=True):
        left = [stream_or_stanza(p) for p in patterns]
        perhaps = [e for p in left if is_marker(p, "perhaps") for e in p.elements()]
        left = [p for p in left if not is_marker(p, "perhaps")]
        deadline = self.deadline()
        while left:
            kind, element = actor.connection.next_event(deadline, self.connections())
            if kind not in ("stream", "stanza"):
                raise Failure(f"{actor.name} got {kind} instead of a stanza")
            self.last[actor.name] = element
            problems = []
            for pattern in left[:1] if ordered else left:
                matcher = Matcher(self.lookup, exactly)
                problem = matcher.match(pattern, element)
                if problem is None:
                    self.values.update(matcher.captures)
                    left.remove(pattern)
                    break
                problems.append(problem)
            else:
                if is_absence(element):
                    continue
                allowed = [p for p in perhaps if Matcher(self.lookup, exactly).match(p, element) is None]
                if not allowed:
                    raise Failure(f"{actor.name} received {element.to_xml()}\n    " + "\n    ".join(problems))
                perhaps.remove(allowed[0])

    @action(r"(\w+) receives nothing")
    def do_nothing(self, name):
        """Nothing is on its way: every other actor's earlier stanzas have passed, and so have the server's own."""
        actor = self.actor(name)
        for other in self.actors.values():
            if other is not actor and other.connection.jid and not other.connection.closed:
                self.sync(other)
                self.sync(other, actor.connection.jid)
        self.sync(actor)
        events = actor.connection.events
        events[:] = [e for e in events if not (e[0] == "stanza" and is_absence(e[1]))]
        if events:
            kind, element = events[0]
            raise Failure(f"{name} received {element.to_xml() if element else kind}")

    @action(r"(\w+) syncs")
    def do_sync(self, name):
        self.sync(self.actor(name))

    @action(r"(\w+) settles")
    def do_settle(self, name):
        """What a server hands over at once may still be on its way to the disk; a write of the actor's own comes after
        it, or at least a second one does, as what is written together may be made up before."""
        c = self.actor(name).connection
        for _ in range(2):
            self.barriers += 1
            ident = f"barrier-{self.barriers}"
            c.send(f"<iq type='set' id='{ident}'><query xmlns='jabber:iq:private'><x xmlns='urn:example:settled'/>"
                   "</query></iq>", note=False)
            self.take_answer(name, c, ident)

    def sync(self, actor, to=None):
        """A round trip to the server, or to another actor; what arrives meanwhile stays queued."""
        c, self.barriers = actor.connection, self.barriers + 1
        ident = f"barrier-{self.barriers}"
        address = f" to={quoteattr(to)}" if to else ""
        c.send(f"<iq type='get' id='{ident}'{address}><ping xmlns='{xmpp.NS_PING}'/></iq>", note=False)
        self.take_answer(actor.name, c, ident)

    def take_answer(self, name, c, ident):
        """To a request of ours, which no transcript needs."""
        self.take(c, lambda e: e.name == "iq" and e.get("id") == ident, "answer to a request of the script's own")
        for i, entry in enumerate(self.transcript):
            if entry[0] == name and f'"{ident}"' in entry[2]:
                del self.transcript[i]
                break

    def take(self, c, wanted, what, all_connections=None):
        """Waits for one stanza and takes it; what arrives before it stays queued."""
        deadline = self.deadline()
        while True:
            for i, (kind, element) in enumerate(c.events):
                if kind == "stanza" and wanted(element):
                    del c.events[i]
                    return
            if c.eof or c.closed or time.monotonic() > deadline:
                raise Failure(f"{c.name}: no {what}")
            xmpp.pump(all_connections or self.connections(), deadline - time.monotonic())

    @action(r"the caps (\S+) are those of disco in the last stanza of (\w+)")
    def do_caps(self, ver, name):
        """XEP-0115 5.1: recomputes the hash from what disco#info said."""
        computed = xmpp.caps_hash(self.last[name].elements()[0])
        if computed != self.fill(ver, quote=False):
            raise Failure(f"disco#info has the hash {computed}")

    @action(r"(\S+) differs from (\S+)")
    def do_differs(self, one, other):
        if self.lookup(one) == self.lookup(other):
            raise Failure(f"{one} and {other} are both {self.lookup(one)}")


def split_elements(xml):
    return xmpp.parse_fragment(xml) if "<stream:stream" not in xml else [xml]


def stream_or_stanza(pattern):
    """<stream:stream .../> as a pattern stands for the header of a stream."""
    if isinstance(pattern, Element):
        return pattern
    parser = xmpp.Parser()
    parser.feed(re.sub(r"/?>\s*$", f" xmlns:stream='{xmpp.NS_STREAM}' xmlns='{xmpp.NS_CLIENT}'>", pattern))
    return parser.events[0][1]
