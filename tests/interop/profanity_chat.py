#!/usr/bin/python3
"""Two people on Profanity, each in a terminal of tmux: login over TLS, subscriptions, presence and chat (R170).

  profanity_chat.py [--binary PATH] [--server starling|prosody|ejabberd] [-v]
"""
import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import peers
import xmpp

SECONDS = 15
DISCO = "http://jabber.org/protocol/disco#info"
# Requests that Profanity makes at login and that must not fail; it also tries carbons and blocking.
KNOWN = "jabber:iq:roster|jabber:iq:private|urn:xmpp:ping|protocol/disco|vcard-temp|jabber:iq:version"


class Missing(Exception):
    """Something did not appear on a screen."""


class Terminals:
    """A tmux server of our own, with one session for each person."""

    def __init__(self, directory):
        self.dir, self.socket = Path(directory), f"{directory}/tmux"

    def tmux(self, *args):
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *args], capture_output=True, text=True,
                              check=True).stdout

    def stop(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True)


class Person:
    def __init__(self, terminals, name):
        self.terminals, self.name, self.jid = terminals, name, f"{name}@{peers.DOMAIN}"
        home = terminals.dir / name
        home.mkdir()
        env = {"HOME": home, "XDG_CONFIG_HOME": home / "config", "XDG_DATA_HOME": home / "data", "LANG": "C.UTF-8",
               "XDG_CACHE_HOME": home / "cache", "TERM": "screen-256color"}
        words = " ".join(shlex.quote(f"{k}={v}") for k, v in env.items())
        path = shlex.quote(os.environ["PATH"])
        self.log = home / "profanity.log"
        terminals.tmux("new-session", "-d", "-s", name, "-x", "150", "-y", "150",
                       f"env -i PATH={path} {words} profanity -l DEBUG -f {shlex.quote(str(self.log))}")

    def type(self, text):
        self.terminals.tmux("send-keys", "-t", self.name, "-l", text)
        self.terminals.tmux("send-keys", "-t", self.name, "Enter")

    def screen(self):
        return self.terminals.tmux("capture-pane", "-p", "-t", self.name)

    def sees(self, pattern):
        """Polls the screen until the pattern is on it."""
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, screen := self.screen()):
            if time.monotonic() > deadline:
                raise Missing(f"{self.name} does not see /{pattern}/")
            time.sleep(0.05)  # between two looks
        return screen

    def asks(self, command, pattern):
        """Says it in the console window."""
        self.type("/win 1")
        self.type(command)
        return self.sees(pattern)

    def logs(self, pattern):
        """Waits for it in Profanity's own log."""
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, self.log.read_text(errors="replace")):
            if time.monotonic() > deadline:
                raise Missing(f"{self.name}'s log does not show /{pattern}/")
            time.sleep(0.05)  # between two looks
        return True

    def polls(self, command, pattern):
        """Asks again and again, for what comes to be true."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            self.type("/win 1")
            self.type("/clear")
            self.type(command)
            look_until = time.monotonic() + 1
            while time.monotonic() < look_until:
                if re.search(pattern, self.screen()):
                    return True
                time.sleep(0.05)  # between two looks
        raise Missing(f"{self.name} does not see /{pattern}/ of {command}")


def converse(romeo, juliet, server, check):
    for person in (romeo, juliet):
        person.sees(r"Profanity|help")
        for setting in ("/splash off", "/notify chat off", "/notify typing off", "/notify invite off",
                        "/notify sub off", "/receipts request on", "/receipts send on", "/wrap on", "/encwarn off",
                        "/autoping set 0", "/statuses console all", "/titlebar show"):
            person.type(setting)
        person.type(f"/connect {person.jid}/{person.name} server 127.0.0.1 port {server.port} tls trust")
        person.sees(r"(?i)password:")
        person.type(peers.password_of(person.name))
        screen = person.sees(rf"{person.jid}/{person.name} logged in successfully|Login failed|failed")
        check(f"{person.name} logs in over TLS", "logged in successfully" in screen)

    romeo.asks(f"/sub request {juliet.jid}", f"Sent subscription request to {juliet.jid}")
    juliet.sees(f"(?i)subscription request from {romeo.jid}|{romeo.jid}.*subscription|Received authorization request")
    juliet.asks(f"/sub allow {romeo.jid}", f"Accepted subscription for {romeo.jid}")
    romeo.sees(f"(?i){juliet.jid} .*accepted|Subscription.*{juliet.jid}")
    juliet.asks(f"/sub request {romeo.jid}", f"Sent subscription request to {romeo.jid}")
    romeo.asks(f"/sub allow {juliet.jid}", f"Accepted subscription for {juliet.jid}")
    check("both rosters say `both`", romeo.polls("/roster", f"{juliet.jid} - both")
          and juliet.polls("/roster", f"{romeo.jid} - both"))
    check("each sees the other's presence", romeo.polls("/who online", f"{juliet.jid} is online")
          and juliet.polls("/who online", f"{romeo.jid} is online"))
    romeo.type("/status set away \"in the orchard\"")
    check("a change of presence is seen", juliet.polls("/who away", rf"{romeo.jid} is away, \"in the orchard\""))
    romeo.type("/status set online")

    romeo.type(f"/msg {juliet.jid} But soft, what light")
    juliet.asks(f"/msg {romeo.jid} O Romeo", "But soft, what light")
    check("a message reaches the bare address", True)
    romeo.sees("O Romeo")
    check("the answer comes back", True)
    romeo.type("It is the east")
    juliet.sees("It is the east")
    check("and the conversation goes on", True)

    check("receipts come back", romeo.logs(r"RECV: <message.*<received [^>]*urn:xmpp:receipts")
          and juliet.logs(r"RECV: <message.*<received [^>]*urn:xmpp:receipts"))
    check("the server answers a ping", romeo.asks("/ping", r"Ping response from server: \d+ms|Ping response.*ms"))
    check("the other client answers a ping",
          romeo.asks(f"/ping {juliet.jid}/{juliet.name}", rf"Ping response from {juliet.jid}/{juliet.name}"))
    check("disco shows a server", romeo.asks(f"/disco info {peers.DOMAIN}", r"(?i)identities"))
    check("the software of the other is told",
          romeo.asks(f"/software {juliet.jid}/{juliet.name}", r"(?i)Profanity"))
    romeo.type("/bookmark add council@rooms.example nick R autojoin off")
    check("bookmarks are kept", romeo.asks("/bookmark list", r"council@rooms\.example"))

    check("its caps are the hash of its features", verified_caps(server, "juliet", f"{romeo.jid}/{romeo.name}"))

    juliet.type("/quit")
    check("going offline is seen", romeo.polls("/who offline", f"{juliet.jid} is offline"))
    log = romeo.log.read_text(errors="replace")
    failed = set(re.findall(r'RECV: <iq(?=[^>]* type="error")[^>]* id="([^"]+)"', log))
    asked = dict((m[1], m[0]) for m in re.finditer(r'SENT: <iq id="([^"]+)".*', log))
    errors = [asked[i] for i in failed if i in asked and re.search(KNOWN, asked[i])]
    check("no error for what the server must know" + "".join("\n    " + e for e in errors), not errors)
    romeo.type("/quit")


def verified_caps(server, user, whose):
    """Whether what they hash is what that client says of itself (XEP-0115 5.4), as another client sees it."""
    deadline = time.monotonic() + SECONDS
    c = server.connect("observer")
    c.log_in(user, peers.password_of(user), peers.DOMAIN, deadline)
    c.bind("observer", deadline)
    c.send("<presence><priority>-1</priority></presence>")
    while (presence := c.expect("stanza", deadline)).get("from") != whose:
        pass
    caps = presence.find("http://jabber.org/protocol/caps", "c")
    c.send(f"<iq type='get' id='caps' to='{whose}'><query xmlns='{DISCO}' "
           f"node='{caps.get('node')}#{caps.get('ver')}'/></iq>")
    while (answer := c.expect("stanza", deadline)).get("id") != "caps":
        pass
    c.close()
    return xmpp.caps_hash(answer.find(DISCO, "query")) == caps.get("ver")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary")
    p.add_argument("--server", default="starling", choices=peers.SERVERS)
    p.add_argument("-v", action="store_true", help="show the screens at the end")
    a = p.parse_args()
    results = []

    def check(what, true):
        results.append(bool(true))
        print(f"{'pass' if true else 'FAIL'} {what}")

    with peers.make_server(a.server, a.binary) as server:
        directory = tempfile.mkdtemp(prefix="profanity-")
        terminals, people = Terminals(directory), []
        try:
            for name in ("romeo", "juliet"):
                server.add_account(name)
                people.append(Person(terminals, name))
            converse(*people, server, check)
        except (Missing, subprocess.CalledProcessError) as e:
            check(f"{e}", False)
        finally:
            if a.v or not all(results):
                for person in people:
                    try:
                        print(f"--- {person.name}\n{person.screen().rstrip()}")
                    except subprocess.CalledProcessError:
                        print(f"--- {person.name} has ended")
                    print("\n".join(person.log.read_text(errors="replace").splitlines()[-15:])
                          if person.log.exists() else "")
                print(server.log_tail())
            terminals.stop()
            shutil.rmtree(directory, ignore_errors=True)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
