"""What a tool has printed, made comparable: one text for all servers and runs.

A screen is the command, what it printed (stdout, then stderr) and its exit code. A debug log is brought into one form:
stanzas canonical, and without what one server adds and another does not. What differs from run to run is replaced by
{names}. expected/NAME has what it must be.
"""
import difflib
import re
from pathlib import Path

import xmpp

EXPECTED = Path(__file__).resolve().parent / "expected"
NS_DISCO, NS_CAPS = "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/caps"
NS_ROSTER = "jabber:iq:roster"

# What servers add to stanzas on their way.
ADDED = ("vcard-temp:x:update", "urn:xmpp:delay", "urn:xmpp:sid:0", "urn:xmpp:mam:tmp")

# In this order; each replaces what it finds.
NAMES = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"), "{time}"),
    (re.compile(r"Time until certificate expiration: -?\d+ days, \d+:\d\d:\d\d"),
     "Time until certificate expiration: {lifetime}"),
    (re.compile(r"cipher TLS_\w+"), "cipher {cipher}"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:{port}"),
    (re.compile(r"SCRAM-SHA-\d+(-PLUS)?"), "{mechanism}"),
    (re.compile(r"\d+ messages?, \d+ presences?, \d+ iqs? \(\d+ bytes\)"),
     "{n} messages, {n} presences, {n} iqs ({n} bytes)"),
]


def named(text):
    for pattern, name in NAMES:
        text = pattern.sub(name, text)
    return text


def compare(name, actual, write=False):
    """Nothing when they are the same, else a diff. `write` makes what came the expectation."""
    path = EXPECTED / name
    if write:
        path.write_text(actual)
    expected = path.read_text() if path.exists() else ""
    return "".join(difflib.unified_diff(expected.splitlines(True), actual.splitlines(True), f"expected/{name}",
                                        "what came"))


def screen(arguments, out, err, code):
    """`arguments` are those that a person would type, without where the server is to be found."""
    words = (f"'{w}'" if " " in w or "\n" in w else w for w in arguments)
    said = out + ("--- stderr\n" + err if err else "")
    return named(f"$ starling {' '.join(words)}\n{said}exit {code}\n")


# -- debug logs ----------------------------------------------------------------

STANZA = re.compile(r"^DEBUG (SEND|RECV): (<(?:iq|message|presence)\b.*)$", re.S)
EVENT = "DEBUG Event triggered: "
STREAM_MANAGEMENT = re.compile(r"^DEBUG (SEND|RECV): <\w+ [^>]*xmlns=['\"]urn:xmpp:sm:3['\"][^>]*>$")


def lines_of(log):
    """The entries of a log: a stanza with line feeds in it is one."""
    entries = []
    for line in log.splitlines():
        if entries and entries[-1].startswith(("DEBUG SEND: <", "DEBUG RECV: <")) and not entries[-1].endswith(">"):
            entries[-1] += "\n" + line
        else:
            entries.append(line)
    return entries


def stanzas(log, direction):
    """The stanzas that were sent ("SEND") or received ("RECV"), as elements."""
    found = (STANZA.match(line) for line in lines_of(log))
    return [xmpp.parse_fragment(m[2])[0] for m in found if m and m[1] == direction]


def is_asked_by_server(element, own):
    """Whether it is a server's question about our capabilities, or the answer to one: not every server asks."""
    if element.name != "iq" or not any(child.ns == NS_DISCO for child in element.elements()):
        return False
    other = element.get("from") or element.get("to") or own
    return other in (own.partition("/")[0], own.partition("/")[0].partition("@")[2])


def is_answer_to_ping_of_account(element):
    """Servers differ in what they answer for somebody else's account, but not in whether they do."""
    payload = [child for child in element.elements() if child.name != "error"]
    bare = "@" in element.get("from", "") and "/" not in element.get("from")
    return element.name == "iq" and element.get("type") in ("result", "error") and bare and not payload


def canonical(element, own):
    """One form for all servers: attributes sorted, no ids, no languages, no addresses that are our own."""
    bare = own.partition("/")[0]
    if is_answer_to_ping_of_account(element):
        return f"<iq from=\"{element.get('from')}\" {{answer}}/>"

    def clean(e, top):
        copy = xmpp.Element(e.ns, e.name, {})
        for key, value in sorted(e.attrs.items()):
            if key == f"{{{xmpp.NS_XML}}}lang" or (top and key == "id") or (e.ns == NS_ROSTER and key == "ver"):
                continue
            if top and ((key == "to" and value == own) or (key == "from" and value == bare)):
                continue
            copy.attrs[key] = "{hash}" if e.ns == NS_CAPS and key == "ver" else value
        copy.children = [c if isinstance(c, str) else clean(c, False) for c in e.children
                         if isinstance(c, str) or c.ns not in ADDED]
        return copy

    return clean(element, True).to_xml()


def debug_log(log, own):
    """The log of the session that was bound as `own`, in the form of expected/*. Our own presence, which servers send
    back sooner or later, is moved to where it was sent."""
    out, echo, after_presence = [], [], None
    in_echo = False
    for line in lines_of(log):
        if STREAM_MANAGEMENT.match(line):  # not every server has it
            continue
        found = STANZA.match(line)
        if in_echo and line.startswith(EVENT):
            echo.append(line)
            continue
        in_echo = False
        if not found:
            out.append(negotiation(line))
            continue
        element = xmpp.parse_fragment(found[2])[0]
        if is_asked_by_server(element, own):
            continue
        line = f"DEBUG {found[1]}: {canonical(element, own)}"
        if found[1] == "RECV" and element.name == "presence" and element.get("from") == own:
            in_echo = True
            echo.append(line)
            continue
        out.append(line)
        if found[1] == "SEND" and element.name == "presence" and after_presence is None:
            after_presence = len(out)
    if echo and after_presence is not None:
        out[after_presence:after_presence] = echo
    return named("\n".join(out) + "\n")


def negotiation(line):
    """What every server words in its own way before the session begins."""
    line = re.sub(r"RECV: (<\?xml[^>]*>\s*)?<stream:stream [^>]*>", "RECV: <stream:stream {attributes}>", line)
    features = "RECV: <stream:features>{features}</stream:features>"
    return re.sub(r"RECV: <stream:features[ >].*", features, line, flags=re.S)
