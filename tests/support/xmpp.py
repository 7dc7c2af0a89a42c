"""A small XMPP connection for tests: sockets, TLS, an incremental parser and SASL, standard library only.

It hides nothing: what arrives is queued in order as events, and the test decides what each must be.
Everything is single-threaded; `pump` reads and writes whatever is ready on a set of connections.
"""
import base64
import hashlib
import hmac
import os
import select
import socket
import ssl
import time
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

NS_CLIENT = "jabber:client"
NS_STREAM = "http://etherx.jabber.org/streams"
NS_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
NS_STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
NS_PING = "urn:xmpp:ping"
NS_XML = "http://www.w3.org/XML/1998/namespace"
PREFIXES = {NS_STREAM: "stream", NS_XML: "xml"}


class Failure(Exception):
    """The server did something other than what the test demands."""


class Element:
    __slots__ = ("ns", "name", "attrs", "children")

    def __init__(self, ns, name, attrs):
        self.ns, self.name, self.attrs, self.children = ns, name, attrs, []

    def elements(self):
        return [c for c in self.children if isinstance(c, Element)]

    def text(self):
        return "".join(c for c in self.children if isinstance(c, str))

    def find(self, ns, name):
        return next((c for c in self.elements() if c.ns == ns and c.name == name), None)

    def get(self, attr, default=None):
        return self.attrs.get(attr, default)

    def to_xml(self, outer_ns=NS_CLIENT):
        """Readable XML for transcripts; prefixes other than stream: and xml: are not kept."""
        if self.ns == NS_STREAM:
            tag, inner_ns, decl = "stream:" + self.name, outer_ns, ""
        else:
            tag, inner_ns = self.name, self.ns
            decl = "" if self.ns == outer_ns else " xmlns=" + quoteattr(self.ns)
        attrs = ""
        for key, value in self.attrs.items():
            if key.startswith("{"):
                ns, local = key[1:].split("}", 1)
                key = f"{PREFIXES.get(ns, 'x')}:{local}"
            attrs += f" {key}={quoteattr(value)}"
        body = "".join(escape(c) if isinstance(c, str) else c.to_xml(inner_ns) for c in self.children)
        return f"<{tag}{decl}{attrs}>{body}</{tag}>" if body else f"<{tag}{decl}{attrs}/>"


def _split(name):
    ns, sep, local = name.rpartition(" ")
    return (ns, local) if sep else ("", name)


def _attrs(flat):
    out = {}
    for key, value in flat.items():
        ns, local = _split(key)
        out[f"{{{ns}}}{local}" if ns else local] = value
    return out


class Parser:
    """Turns the bytes of one stream into events: ("stream", Element), ("stanza", Element), ("end", None)."""

    def __init__(self):
        self.events, self.stack = [], []
        self.expat = expat.ParserCreate(namespace_separator=" ")
        self.expat.buffer_text = True
        if hasattr(self.expat, "SetReparseDeferralEnabled"):
            self.expat.SetReparseDeferralEnabled(False)
        self.expat.StartElementHandler = self._start
        self.expat.EndElementHandler = self._end
        self.expat.CharacterDataHandler = self._text

    def feed(self, data):
        self.expat.Parse(data, False)

    def _start(self, name, flat):
        element = Element(*_split(name), _attrs(flat))
        if not self.stack:
            self.events.append(("stream", element))
        elif len(self.stack) > 1:
            self.stack[-1].children.append(element)
        self.stack.append(element)

    def _end(self, _):
        element = self.stack.pop()
        if len(self.stack) == 1:
            self.events.append(("stanza", element))
        elif not self.stack:
            self.events.append(("end", None))

    def _text(self, text):
        if len(self.stack) > 1:
            self.stack[-1].children.append(text)


def parse_fragment(text):
    """The elements in a piece of stream content, in the namespaces a client's stream declares."""
    parser = Parser()
    parser.feed(f"<stream:stream xmlns='{NS_CLIENT}' xmlns:stream='{NS_STREAM}'>")
    parser.feed(text)
    parser.feed("</stream:stream>")
    return [e for kind, e in parser.events if kind == "stanza"]


def client_tls(alpn=None, versions=None):
    """A context that accepts the test server's self-signed certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    if versions:
        context.minimum_version, context.maximum_version = versions
    return context


class Connection:
    """One TCP connection to a server. `transcript` collects (name, direction, text) of everything that passes."""

    def __init__(self, name, address, transcript=None):
        self.name, self.address = name, address
        self.transcript = transcript if transcript is not None else []
        self.sock = socket.create_connection(address, timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.parser, self.events, self.out = Parser(), [], b""
        self.eof = self.closed = False
        self.domain = self.jid = None
        self.features = None
        self.want_write = False

    # -- bytes ---------------------------------------------------------------

    def note(self, direction, text):
        self.transcript.append((self.name, direction, text))

    def send(self, text, note=True):
        data = text if isinstance(text, bytes) else text.encode()
        if note:
            self.note(">", text if isinstance(text, str) else repr(text))
        self.out += data
        self.flush()

    def flush(self):
        while self.out and not self.eof and not self.closed:
            try:
                self.out = self.out[self.sock.send(self.out[:65536]):]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError:
                self.out = b""
                return  # the reading side reports the end

    def read(self):
        while not self.eof and not self.closed:
            try:
                data = self.sock.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as e:
                self.note("*", f"connection lost: {e}")
                data = b""
            if not data:
                self.eof = True
                self.events.append(("eof", None))
                break
            try:
                self.parser.feed(data)
            except expat.ExpatError as e:
                self.note("*", f"unparsable: {data!r} ({e})")
                self.events.append(("broken", None))
            self._take()

    def _take(self):
        for kind, element in self.parser.events:
            if kind == "stanza" and self.answer_barrier(element):
                continue
            if kind == "stream":
                self.note("<", element.to_xml().replace("/>", ">"))
            elif kind == "stanza":
                self.note("<", element.to_xml())
            else:
                self.note("<", "</stream:stream>")
            self.events.append((kind, element))
        self.parser.events.clear()

    def answer_barrier(self, element):
        """A `receives nothing` elsewhere checks the way to us; scripts never see these."""
        if element.name == "iq" and element.get("type") == "get" and element.get("id", "").startswith("barrier-"):
            to = element.get("from")
            self.send(f"<iq type='result' id={quoteattr(element.get('id'))} to={quoteattr(to or '')}/>", note=False)
            return True
        return False

    def close(self):
        if not self.closed:
            self.closed = True
            self.sock.close()

    # -- events --------------------------------------------------------------

    def next_event(self, deadline, others=()):
        while not self.events:
            if self.closed or time.monotonic() > deadline:
                raise Failure(f"{self.name} received nothing in time")
            pump({self, *others}, deadline - time.monotonic())
        return self.events.pop(0)

    def expect(self, kind, deadline, ns=None, name=None):
        got, element = self.next_event(deadline)
        if got != kind or (name and (element.ns, element.name) != (ns, name)):
            raise Failure(f"{self.name} expected {name or kind}, got {element.to_xml() if element else got}")
        return element

    # -- negotiation ---------------------------------------------------------

    def open_stream(self, domain, attrs="version='1.0'", header=None):
        self.parser, self.domain = Parser(), domain
        self.send(header or f"<?xml version='1.0'?><stream:stream to='{domain}' xmlns='{NS_CLIENT}' "
                            f"xmlns:stream='{NS_STREAM}' {attrs}>")

    def read_features(self, deadline):
        self.expect("stream", deadline)
        self.features = self.expect("stanza", deadline, NS_STREAM, "features")
        return self.features

    def wrap_tls(self, domain, deadline, context=None):
        context = context or client_tls()
        self.sock = context.wrap_socket(self.sock, server_hostname=domain, do_handshake_on_connect=False)
        while True:
            try:
                self.sock.do_handshake()
                break
            except ssl.SSLWantReadError:
                select.select([self.sock], [], [], max(0, deadline - time.monotonic()))
            except ssl.SSLWantWriteError:
                select.select([], [self.sock], [], max(0, deadline - time.monotonic()))
            if time.monotonic() > deadline:
                raise Failure(f"{self.name}: no TLS in time")
        self.note("*", f"{self.sock.version()} {self.sock.cipher()[0]}")

    def starttls(self, domain, deadline, context=None):
        self.send(f"<starttls xmlns='{NS_TLS}'/>")
        self.expect("stanza", deadline, NS_TLS, "proceed")
        self.wrap_tls(domain, deadline, context)

    def mechanisms(self):
        offered = self.features.find(NS_SASL, "mechanisms") if self.features else None
        return [m.text() for m in offered.elements() if m.name == "mechanism"] if offered else []

    def authenticate(self, user, password, deadline, mechanism=None):
        """SASL; returns the <success/> or <failure/> element."""
        if not mechanism:
            usable = [m for m in ("SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN") if m in self.mechanisms()]
            if not usable:
                raise Failure(f"{self.name}: no usable mechanism among {self.mechanisms()}")
            mechanism = usable[0]
        if mechanism == "PLAIN":
            first = f"\0{user}\0{password}".encode()
            self.send(f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>{b64(first)}</auth>")
            return self.next_sasl(deadline)
        scram = Scram(mechanism, user, password)
        self.send(f"<auth xmlns='{NS_SASL}' mechanism='{mechanism}'>{b64(scram.first())}</auth>")
        answer = self.next_sasl(deadline)
        if answer.name != "challenge":
            return answer
        self.send(f"<response xmlns='{NS_SASL}'>{b64(scram.final(unb64(answer.text())))}</response>")
        answer = self.next_sasl(deadline)
        if answer.name == "challenge":  # the server signature may come in a challenge of its own
            scram.verify(unb64(answer.text()))
            self.send(f"<response xmlns='{NS_SASL}'/>")
            return self.next_sasl(deadline)
        if answer.name == "success":
            scram.verify(unb64(answer.text()))
        return answer

    def next_sasl(self, deadline):
        element = self.expect("stanza", deadline)
        if element.ns != NS_SASL:
            raise Failure(f"{self.name}: expected SASL, got {element.to_xml()}")
        return element

    def bind(self, resource, deadline):
        inner = f"<resource>{escape(resource)}</resource>" if resource else ""
        self.send(f"<iq type='set' id='bind'><bind xmlns='{NS_BIND}'>{inner}</bind></iq>")
        answer = self.expect("stanza", deadline, NS_CLIENT, "iq")
        bound = answer.find(NS_BIND, "bind")
        if answer.get("type") != "result" or not bound:
            raise Failure(f"{self.name}: bind answered {answer.to_xml()}")
        self.jid = bound.find(NS_BIND, "jid").text()
        return self.jid

    def secure(self, domain, deadline, direct_tls=False, context=None):
        """As far as the features offered inside TLS."""
        if direct_tls:
            self.wrap_tls(domain, deadline, context or client_tls(["xmpp-client"]))
        else:
            self.open_stream(domain)
            self.read_features(deadline)
            self.starttls(domain, deadline, context)
        self.open_stream(domain)
        return self.read_features(deadline)

    def log_in(self, user, password, domain, deadline, mechanism=None, direct_tls=False):
        """As far as the features offered after login."""
        self.secure(domain, deadline, direct_tls)
        answer = self.authenticate(user, password, deadline, mechanism)
        if answer.name != "success":
            raise Failure(f"{self.name}: login answered {answer.to_xml()}")
        self.open_stream(domain)
        return self.read_features(deadline)

    def request(self, xml, deadline):
        """Sends an <iq/> whose id occurs in `xml` and returns its answer; anything before it is an error."""
        self.send(xml)
        return self.expect("stanza", deadline, NS_CLIENT, "iq")


def pump(connections, timeout):
    """Moves bytes on all connections; returns when something was read or the timeout (seconds) has passed."""
    live = [c for c in connections if not c.eof and not c.closed]
    if not live:
        raise Failure("every connection has ended")
    before = sum(len(c.events) for c in live)
    for c in live:
        c.flush()
        c.read()  # TLS may hold decrypted bytes that select cannot see
    if sum(len(c.events) for c in live) != before:
        return
    live = [c for c in live if not c.eof]
    writers = [c.sock for c in live if c.out]
    readable, _, _ = select.select([c.sock for c in live], writers, [], max(0, timeout))
    for c in live:
        if c.sock in readable:
            c.read()
        c.flush()


class Scram:
    """RFC 5802 and RFC 7677, without channel binding."""

    def __init__(self, mechanism, user, password, nonce=None):
        self.hash = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[mechanism]
        self.password = password.encode()
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce or os.urandom(12).hex()}"

    def first(self):
        return b"n,," + self.bare.encode()

    def final(self, challenge):
        text = challenge.decode()
        parts = dict(p.split("=", 1) for p in text.split(","))
        if not parts["r"].startswith(self.bare.split(",r=", 1)[1]):
            raise Failure("the server changed our nonce")
        self.iterations = int(parts["i"])
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, unb64(parts["s"]), self.iterations)
        client_key = self.hmac(salted, b"Client Key")
        bare_final = f"c=biws,r={parts['r']}"
        message = f"{self.bare},{text},{bare_final}".encode()
        signature = self.hmac(hashlib.new(self.hash, client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.server_signature = self.hmac(self.hmac(salted, b"Server Key"), message)
        return f"{bare_final},p={b64(proof)}".encode()

    def verify(self, final):
        if final.decode() != "v=" + b64(self.server_signature):
            raise Failure(f"wrong server signature: {final!r}")

    def hmac(self, key, data):
        return hmac.new(key, data, self.hash).digest()


def caps_hash(query):
    """What the answer to disco#info amounts to (XEP-0115 5.1)."""
    text = "".join(sorted("/".join([i.get("category"), i.get("type"), i.get(f"{{{NS_XML}}}lang", ""),
                                    i.get("name", "")]) + "<" for i in query.elements() if i.name == "identity"))
    text += "".join(sorted(f.get("var") + "<" for f in query.elements() if f.name == "feature"))
    forms = []
    for form in (x for x in query.elements() if x.ns == "jabber:x:data"):
        fields = {f.get("var"): sorted(v.text() for v in f.elements())
                  for f in form.elements() if f.name == "field"}
        kind = fields.pop("FORM_TYPE")[0]
        forms.append(kind + "<" + "".join(f"{k}<" + "".join(v + "<" for v in fields[k]) for k in sorted(fields)))
    return b64(hashlib.sha1((text + "".join(sorted(forms))).encode()).digest())


def b64(data):
    return base64.b64encode(data).decode()


def unb64(text):
    return base64.b64decode(text)
