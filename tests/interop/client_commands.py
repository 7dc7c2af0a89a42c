#!/usr/bin/python3
"""What each of the subcommands that log in to a server does and prints, as text and as JSON.

  client_commands.py [--binary PATH] [-k WORDS] [-v]
"""
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import cases
import xmpp
from cases import heard, soon, test, until
from tools import COULD_NOT_CONNECT, DONE, NOT_AUTHORIZED, REFUSED, TIMED_OUT, USAGE, Tools, ends, says

JULIET, ROMEO = "juliet@localhost", "romeo@localhost"
DISCO, SENSORDATA = "http://jabber.org/protocol/disco#info", "urn:xmpp:iot:sensordata"


def tools(place, *sets):
    """A server with juliet and romeo, and the tools that find it."""
    place.serve(*sets)
    place.add("juliet", "romeo")
    where = ["--connect", f"127.0.0.1:{place.port}", "--ca", place.data / "tls/self-signed.crt"]
    return Tools(place.binary, place.dir, where)


def answers(done):
    """Done, and one JSON value on one line, which is returned."""
    assert done.returncode == DONE and not done.stderr, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    assert len(done.stdout.splitlines()) == 1, done.stdout
    return json.loads(done.stdout)


def prints(done, *words):
    """Done, with these words on stdout and nothing on stderr."""
    assert done.returncode == DONE and not done.stderr, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    for word in words:
        assert word in done.stdout, f"no {word!r} in {done.stdout!r}"


def asked(c, ns=None):
    """The next request that a connection gets, with that payload."""
    while (stanza := c.expect("stanza", soon())).name != "iq" or (ns and stanza.elements()[0].ns != ns):
        pass
    return stanza


# -- send and echo -------------------------------------------------------------

@test
def send_delivers_the_message(place):
    t = tools(place)
    romeo = place.log_in("romeo")
    romeo.send("<presence/>")
    text = "Grüße <&> € 😀\nsecond line"
    says(t.run("send", "-t", ROMEO, "-m", text, jid=JULIET), "Done")
    stanza = heard(romeo, text)
    assert stanza.get("type") == "chat" and stanza.get("from").startswith(JULIET + "/"), stanza.to_xml()
    says(t.run("send", "-t", ROMEO, "-m", "Hi", "--subject", "Greeting", "--type", "normal", jid=JULIET + "/x"), "Done")
    stanza = heard(romeo, "Hi")
    assert stanza.get("type") in (None, "normal") and stanza.get("from") == JULIET + "/x", stanza.to_xml()
    assert stanza.find(xmpp.NS_CLIENT, "subject").text() == "Greeting", stanza.to_xml()
    found = json.loads(t.run("send", "-t", ROMEO, "-m", "Hi", "--json", jid=JULIET).stdout)
    stanza = heard(romeo, "Hi")
    assert found == {"id": stanza.get("id"), "to": ROMEO}, found


@test
def echo_answers_chat_and_normal_alone(place):
    """R163"""
    t = tools(place)
    with t.start("echo", jid=ROMEO + "/bot") as echo:
        echo.says("echoing as romeo@localhost/bot")
        c = place.log_in("juliet", resource="x")
        for kind in ("groupchat", "headline", "error"):
            c.send(f"<message to='{ROMEO}/bot' type='{kind}' id='no'><body>{kind}</body></message>")
        c.send(f"<message to='{ROMEO}/bot' type='chat' id='empty'/>")
        for kind in ("chat", "normal"):
            c.send(f"<message to='{ROMEO}/bot' type='{kind}' id='yes'><body>{kind}</body><thread>t</thread></message>")
            answer = heard(c, f"Thanks for sending\n{kind}")  # the first: the others were not answered
            assert answer.get("from") == ROMEO + "/bot" and (answer.get("type") or "normal") == kind, answer.to_xml()
            assert answer.find(xmpp.NS_CLIENT, "thread").text() == "t", answer.to_xml()
        echo.says("juliet@localhost/x: normal")
        assert echo.out.splitlines() == ["juliet@localhost/x: chat", "juliet@localhost/x: normal"], echo.out


@test
def what_others_say_cannot_steer_the_terminal(place):
    t = tools(place)
    with t.start("echo", jid=ROMEO + "/bot") as echo:
        echo.says("echoing as")
        c = place.log_in("juliet", resource="x")
        c.send(f"<message to='{ROMEO}/bot' type='chat'><body>a\x7fb\u009bc</body></message>")
        heard(c)
        echo.says("juliet@localhost/x: a")
        assert echo.out.splitlines()[0] == "juliet@localhost/x: a\ufffdb\ufffdc", repr(echo.out)


@test
def what_others_say_cannot_look_like_lines_of_ours(place):
    t = tools(place)
    with t.start("listen", jid=ROMEO + "/ear") as listen:
        listen.says("romeo@localhost/ear is available")
        juliet = place.log_in("juliet", resource="x")
        juliet.send(f"<presence to='{ROMEO}/ear'><status>a\nromeo@localhost: b</status></presence>")
        juliet.send(f"<message to='{ROMEO}/ear' type='chat'><body>one\nromeo@localhost: two\u202e</body></message>")
        listen.says("two")
        assert listen.out.splitlines()[1:] == [
            "juliet@localhost/x is available (a\ufffdromeo@localhost: b)", "juliet@localhost/x: one",
            "  romeo@localhost: two\ufffd"], listen.out


@test
def echo_in_json_is_an_object_a_line(place):
    t = tools(place)
    with t.start("echo", "--json", "-d", jid=ROMEO + "/bot") as echo:
        echo.says("Event triggered: session_start")
        echo.says("jabber:iq:roster", times=2)
        c = place.log_in("juliet", resource="x")
        c.send(f"<message to='{ROMEO}/bot' type='chat'><body>one\ntwo</body></message>")
        heard(c)
        assert [json.loads(line) for line in echo.out.splitlines()] == \
            [{"from": "juliet@localhost/x", "body": "one\ntwo"}], echo.out


# -- chat ----------------------------------------------------------------------

@test
def chat_is_a_conversation_that_stays_with_the_resource_that_answers(place):
    """R46, R47: XEP-0296"""
    t = tools(place)
    juliet = place.log_in("juliet", resource="balcony")
    juliet.send("<presence/>")
    with t.start("chat", "-t", JULIET, jid=ROMEO + "/orchard") as chat:
        chat.says("talking to juliet@localhost")
        chat.write("Are you there?\n")
        first = heard(juliet, "Are you there?")
        assert first.get("to") == JULIET, first.to_xml()
        juliet.send(f"<message to='{ROMEO}/orchard' type='chat'><body>Ay me!</body><thread>t1</thread></message>")
        chat.says("juliet@localhost: Ay me!")
        chat.write("O, speak again\n")
        second = heard(juliet, "O, speak again")
        assert second.get("to") == JULIET + "/balcony", second.to_xml()
        assert second.find(xmpp.NS_CLIENT, "thread").text() == "t1", second.to_xml()
        juliet.send(f"<presence to='{ROMEO}/orchard'><show>away</show></presence>")
        chat.says("juliet@localhost/balcony is away")
        chat.write("Where are you?\n")
        third = heard(juliet, "Where are you?")
        assert third.get("to") == JULIET, third.to_xml()
        assert chat.out.splitlines() == ["juliet@localhost: Ay me!"], chat.out
        assert chat.interrupt() == DONE, chat.err


@test
def chat_ends_with_its_input_and_nothing_is_lost(place):
    t = tools(place)
    juliet = place.log_in("juliet")
    juliet.send("<presence/>")
    lines = [f"line {i}" for i in range(50)]
    done = t.run("chat", "-t", JULIET, jid=ROMEO, stdin="\n".join(lines))  # the last without a line's end
    assert done.returncode == DONE and not done.stdout, done
    for line in lines:
        heard(juliet, line)


@test
def chat_on_a_terminal_ends_with_0_whatever_came_back(place):
    t = tools(place)
    command = t.command("chat", "-t", "nobody@localhost", jid=ROMEO)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, t.environment(ROMEO, None, None))
    said = b""
    for word, line in ((b"Ctrl-D ends", b"Hello\n"), (b"not delivered", b"/quit\n")):
        while word not in said:
            said += os.read(terminal, 1000)
        os.write(terminal, line)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == DONE, said
    os.close(terminal)


@test
def chat_is_there_before_it_says_anything(place):
    t = tools(place)
    done = t.run("chat", "-d", "-t", JULIET, jid=ROMEO, stdin="Hello\n")
    assert done.returncode == DONE, done
    sent = re.findall(r"SEND: <(presence|message)", done.stderr)
    assert sent == ["presence", "message"], done.stderr


@test
def what_xml_cannot_carry_is_refused(place):
    t = tools(place)
    done = t.run("send", "-t", JULIET, "-m", "a\x01b", jid=ROMEO)
    ends(done, USAGE, "control character")


@test
def chat_of_a_file_says_goodbye_once(place):
    t = tools(place)
    juliet = place.log_in("juliet")
    juliet.send("<presence/>")
    lines = place.dir / "lines"
    lines.write_text("One\nTwo\n")
    with lines.open() as file:
        done = subprocess.run(t.command("chat", "-d", "-t", JULIET, jid=ROMEO), stdin=file, capture_output=True,
                              text=True, timeout=30, env=t.environment(ROMEO, None, None))
    assert done.returncode == DONE, done
    heard(juliet, "One")
    heard(juliet, "Two")
    assert len(re.findall(r"SEND: <iq[^>]*to='juliet@localhost'[^>]*><ping", done.stderr)) == 1, done.stderr


@test
def chat_tells_what_nobody_acknowledged(place):
    t = tools(place)
    with t.start("chat", "-t", JULIET, jid=ROMEO) as chat:
        chat.says("talking to")
        place.servers[0].send_signal(signal.SIGSTOP)
        chat.write("Is anybody there?\n/quit\n")
        assert chat.ends() == TIMED_OUT, chat.err
        assert "nobody knows whether this has arrived: Is anybody there?" in chat.err, chat.err
        place.servers[0].send_signal(signal.SIGCONT)


@test
def chat_has_commands_and_tells_what_was_not_delivered(place):
    t = tools(place)
    with t.start("chat", "-t", "nobody@localhost", jid=ROMEO) as chat:
        chat.says("talking to")
        chat.write("/help\n")
        chat.says("/history prints")
        chat.write("/hepl me\n")
        chat.says("there is no /hepl")
        chat.write("//etc is a path\n")
        chat.says("not delivered: ")
        chat.write("/history\n")
        chat.says("me: /etc is a path")
        chat.write("/quit\n")
        assert chat.ends() == REFUSED, chat.err
    done = t.run("chat", "-t", "nobody@localhost", jid=ROMEO, stdin="Hello")
    ends(done, REFUSED, "not delivered: service-unavailable: There is no such account here")
    ends(t.run("chat", "-t", JULIET, "--password-stdin", jid=ROMEO, password=""), USAGE, "--password-file")


@test
def chat_sends_when_it_is_back(place):
    server = place.serve()
    place.add("juliet", "romeo")
    where = ["--connect", f"127.0.0.1:{place.port}", "--ca", place.data / "tls/self-signed.crt"]
    t = Tools(place.binary, place.dir, where)
    with t.start("chat", "-t", JULIET, jid=ROMEO) as chat:
        chat.says("talking to")
        server.kill()
        server.wait()
        chat.says("trying again")
        chat.write("Good night\n")
        chat.says("there is no connection")
        place.serve()
        juliet = place.log_in("juliet")
        juliet.send("<presence/>")
        heard(juliet, "Good night")
        assert chat.interrupt() == DONE, chat.err


# -- listen --------------------------------------------------------------------

@test
def listen_prints_messages_and_presences(place):
    t = tools(place)
    with t.start("listen", jid=ROMEO + "/ear") as listen:
        listen.says("romeo@localhost/ear is available")
        juliet = place.log_in("juliet", resource="x")
        juliet.send(f"<presence to='{ROMEO}/ear'><show>away</show><status>in the\x7f garden</status></presence>")
        juliet.send(f"<message to='{ROMEO}/ear' type='chat'><body>Hi</body></message>")
        juliet.send(f"<message to='{ROMEO}/ear' type='headline'><body>News</body></message>")
        juliet.send(f"<message to='{ROMEO}/ear'><subject>Of\nthee</subject></message>")
        juliet.send(f"<message to='{ROMEO}/ear'><subject>Night</subject><body>Come</body></message>")
        juliet.send(f"<presence to='{ROMEO}/ear' type='unavailable'/>")
        juliet.send(f"<presence to='{ROMEO}' type='subscribe'/>")
        listen.says("juliet@localhost is subscribe")
        assert listen.out.splitlines()[1:] == [
            "juliet@localhost/x is away (in the\ufffd garden)", "juliet@localhost/x: Hi",
            "juliet@localhost/x (headline): News", "juliet@localhost/x: [Of\ufffdthee]", "juliet@localhost/x: [Night] Come",
            "juliet@localhost/x is unavailable", "juliet@localhost is subscribe"], listen.out
        assert listen.interrupt() == DONE and not listen.err, listen.err


@test
def listen_in_json_is_an_object_a_line(place):
    t = tools(place)
    with t.start("listen", "--json", jid=ROMEO + "/ear") as listen:
        listen.says("romeo@localhost/ear")
        juliet = place.log_in("juliet", resource="x")
        juliet.send(f"<presence to='{ROMEO}/ear'><show>away</show><status>in the garden</status></presence>")
        juliet.send(f"<message to='{ROMEO}/ear' type='chat' id='m1'><body>one\ntwo</body><thread>t</thread>"
                    "<x xmlns='urn:example:x'/></message>")
        listen.says("urn:example:x")
        _, presence, message = [json.loads(line) for line in listen.out.splitlines()]
        assert presence == {"kind": "presence", "from": "juliet@localhost/x", "show": "away", "status": "in the garden",
                            "priority": 0}, presence
        assert "<x xmlns='urn:example:x'/>" in message.pop("content"), message
        assert message == {"kind": "message", "from": "juliet@localhost/x", "type": "chat", "id": "m1",
                           "body": "one\ntwo", "thread": "t"}, message


# -- one-shot requests ---------------------------------------------------------

@test
def ping(place):
    t = tools(place)
    done = t.run("ping", jid=JULIET)
    assert re.fullmatch(r"answer from localhost after \d+ ms\n", done.stdout), done
    assert answers(t.run("ping", "--json", jid=JULIET)).keys() == {"jid", "milliseconds"}
    with t.start("echo", jid=ROMEO + "/bot") as echo:
        echo.says("echoing as")
        prints(t.run("ping", ROMEO + "/bot", jid=JULIET), "answer from romeo@localhost/bot after ")
        echo.interrupt()
    ends(t.run("ping", ROMEO + "/bot", jid=JULIET), REFUSED,
         "service-unavailable: romeo@localhost/bot does not exist, is not there, or does not offer this")
    silent = place.log_in("romeo", resource="silent")
    ends(t.run("ping", ROMEO + "/silent", "--timeout", "1", jid=JULIET), TIMED_OUT, "1 s")
    assert silent
    ends(t.run("ping", "@@", jid=JULIET), USAGE, "@@")


@test
def what_is_loaded_is_told_before_the_session(place):
    """R168"""
    t = tools(place)
    for tool, plugin in (("ping", "XEP-0199"), ("time", "XEP-0202"), ("version", "XEP-0092"), ("last", "XEP-0012"),
                         ("disco", "XEP-0030"), ("vcard get", "XEP-0054"), ("roster", "RFC 6121"),
                         ("register", "XEP-0077")):
        before, _, after = t.run(tool, "-d", jid=JULIET).stderr.partition("Event triggered: session_start")
        assert "Loaded Plugin: " + plugin in before and "Loaded Plugin" not in after, (tool, before, after)


@test
def disco(place):
    t = tools(place)
    prints(t.run("disco", jid=JULIET), "identity server/im", "- urn:xmpp:ping\n", f"- {DISCO}\n")
    found = answers(t.run("disco", "localhost", "--json", jid=JULIET))
    assert found["jid"] == "localhost" and "urn:xmpp:ping" in found["features"], found
    assert any(i["category"] == "server" for i in found["identities"]), found
    assert found["features"] == sorted(found["features"]), found
    assert isinstance(answers(t.run("disco", "--items", "--json", jid=JULIET)), list)
    ends(t.run("disco", "--node", "no-such-node", jid=JULIET), REFUSED, "item-not-found")


@test
def roster_list_add_remove(place):
    t = tools(place)
    prints(t.run("roster", jid=JULIET), "nobody yet")
    assert answers(t.run("roster", "--json", jid=JULIET)) == []
    says(t.run("roster", "add", ROMEO, "--name", "Romeo M.", "--group", "Verona", "--group", "Friends", jid=JULIET),
         f"added {ROMEO}")
    prints(t.run("roster", "list", jid=JULIET), ROMEO, "Romeo M.", "Verona", "Friends", "none")
    item, = answers(t.run("roster", "--json", jid=JULIET))
    assert sorted(item.pop("groups")) == ["Friends", "Verona"], item
    assert item == {"jid": ROMEO, "name": "Romeo M.", "subscription": "none", "ask": False, "approved": False}, item
    says(t.run("roster", "add", "nurse@localhost", jid=JULIET), "added nurse@localhost")
    item, = answers(t.run("roster", "list", ROMEO, "--json", jid=JULIET))
    assert item["jid"] == ROMEO, item
    ends(t.run("roster", "list", "nobody@localhost", jid=JULIET), 1, "nobody@localhost is not in the roster")
    for action in ("add", "list"):
        ends(t.run("roster", action, ROMEO + "/orchard", jid=JULIET), USAGE, "has a resource", f"give {ROMEO}")
    says(t.run("roster", "remove", ROMEO, jid=JULIET), f"removed {ROMEO}")
    ends(t.run("roster", "remove", ROMEO, jid=JULIET), REFUSED, "item-not-found")
    ends(t.run("roster", "add", jid=JULIET), USAGE, "whom?")
    ends(t.run("roster", "drop", ROMEO, jid=JULIET), USAGE, "drop")


@test
def roster_subscribe_and_approve(place):
    t = tools(place)
    says(t.run("roster", "subscribe", ROMEO, jid=JULIET), f"asked {ROMEO} for a subscription")
    assert answers(t.run("roster", "--json", jid=JULIET))[0]["ask"] is True
    says(t.run("roster", "approve", JULIET, jid=ROMEO), f"approved {JULIET}")
    assert answers(t.run("roster", "--json", jid=JULIET))[0]["subscription"] == "to"
    assert answers(t.run("roster", "--json", jid=ROMEO))[0]["subscription"] == "from"
    says(t.run("roster", "approve", ROMEO, jid=JULIET), f"approved {ROMEO}")  # before he has asked
    says(t.run("roster", "subscribe", JULIET, jid=ROMEO), f"asked {JULIET} for a subscription")
    until("both", lambda: answers(t.run("roster", "--json", jid=ROMEO))[0]["subscription"] == "both")


@test
def presence_says_who_is_there(place):
    t = tools(place)
    t.run("roster", "subscribe", ROMEO, jid=JULIET)
    t.run("roster", "approve", JULIET, jid=ROMEO)
    romeo = place.log_in("romeo", resource="orchard")
    romeo.send("<presence><show>dnd</show><status>hiding</status><priority>5</priority></presence>")
    prints(t.run("presence", "--wait", "0.5", jid=JULIET + "/x"), "romeo@localhost/orchard", "dnd", "hiding")
    found = answers(t.run("presence", "--wait", "0.5", "--show", "away", "--status", "back at five", "--json",
                          jid=JULIET + "/x"))
    assert found == [{"jid": "juliet@localhost/x", "show": "away", "priority": 0, "status": "back at five"},
                     {"jid": "romeo@localhost/orchard", "show": "dnd", "priority": 5, "status": "hiding"}], found
    prints(t.run("presence", "-t", "nobody@localhost", "--wait", "0.2", jid=JULIET + "/x"), "nobody has shown up")
    ends(t.run("presence", "--show", "asleep", jid=JULIET), USAGE, "asleep")
    prints(t.run("presence", "--wait", "1.5", "--timeout", "1", jid=JULIET + "/x"), "romeo@localhost/orchard")


@test
def vcard(place):
    t = tools(place)
    prints(t.run("vcard get", jid=JULIET), "nothing is in it")
    says(t.run("vcard set", "fn=Juliet Capulet", "nickname=Jule", "email=j@example.org", jid=JULIET), "saved")
    prints(t.run("vcard get", JULIET, jid=ROMEO), "Juliet Capulet", "Jule", "j@example.org")
    says(t.run("vcard set", "nickname=", jid=JULIET), "saved")
    found = answers(t.run("vcard get", JULIET, "--json", jid=ROMEO))
    assert found == {"fn": "Juliet Capulet", "email": ["j@example.org"]}, found
    ends(t.run("vcard set", "shoesize=37", jid=JULIET), USAGE, "shoesize")
    ends(t.run("vcard get", "nobody@localhost", jid=JULIET), REFUSED)


@test
def iq_sends_what_it_is_given(place):
    t = tools(place)
    done = t.run("iq", "get", "<query xmlns='jabber:iq:version'/>", "-t", "localhost", jid=JULIET)
    prints(done, "<query xmlns='jabber:iq:version'>", "<name>")
    found = answers(t.run("iq", "get", "<query xmlns='jabber:iq:roster'/>", "--json", jid=JULIET))
    assert "jabber:iq:roster" in found["payload"], found
    ends(t.run("iq", "get", "<query xmlns='urn:example:nothing'/>", "-t", "localhost", jid=JULIET), REFUSED,
         "service-unavailable")
    ends(t.run("iq", "get", "<query", jid=JULIET), USAGE, "XML")
    ends(t.run("iq", "get", "<query/>", jid=JULIET), USAGE, "xmlns")
    ends(t.run("iq", "put", "<query xmlns='a'/>", jid=JULIET), USAGE, "put")


@test
def time_and_version(place):
    t = tools(place)
    done = t.run("time", jid=JULIET)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, time zone (Z|[+-]\d\d:\d\d)\n", done.stdout), done
    found = answers(t.run("time", "localhost", "--json", jid=JULIET))
    assert found.keys() == {"jid", "utc", "zone"} and found["jid"] == "localhost", found
    assert t.run("version", jid=JULIET).stdout.startswith("Starling "), "no version"
    found = answers(t.run("version", "--json", jid=JULIET))
    assert found["name"] == "Starling" and found["version"] and found.keys() == {"jid", "name", "version", "os"}, found
    silent = place.log_in("romeo", resource="silent")
    ends(t.run("version", ROMEO + "/silent", "--timeout", "1", jid=JULIET), TIMED_OUT)
    silent.close()
    ends(t.run("time", "nobody@localhost", jid=JULIET), REFUSED, "service-unavailable")


@test
def last_tells_of_servers_and_of_those_who_may_be_seen(place):
    t = tools(place)
    done = t.run("last", jid=JULIET)
    assert re.fullmatch(r"up for (\d+ min )?\d+ s\n", done.stdout), done
    assert answers(t.run("last", "--json", jid=JULIET))["seconds"] < 600
    refused = t.run("last", ROMEO, jid=JULIET)
    assert refused.returncode == REFUSED, refused
    t.run("roster", "subscribe", ROMEO, jid=JULIET)
    t.run("roster", "approve", JULIET, jid=ROMEO)
    romeo = place.log_in("romeo")
    romeo.send("<presence/>")
    until("his presence", lambda: t.run("last", ROMEO, jid=JULIET).stdout == "online now\n")
    romeo.send("<presence type='unavailable'><status>Good night</status></presence>")
    romeo.send("</stream:stream>")
    until("his end", lambda: place.json("sessions")["sessions"] == [])
    prints(t.run("last", ROMEO, jid=JULIET), "last seen, before ", "Good night")
    found = answers(t.run("last", ROMEO, "--json", jid=JULIET))
    assert found["jid"] == ROMEO and found["seconds"] < 60 and found["status"] == "Good night", found


@test
def register_makes_changes_and_removes_an_account(place):
    t = tools(place, "registration=open")
    nurse = "nurse@localhost"
    says(t.run("register", jid=nurse, password="angelica"), f"registered {nurse}")
    says(t.run("send", "-t", JULIET, "-m", "Hi", jid=nurse, password="angelica"), "Done")
    ends(t.run("register", jid=nurse, password="other"), REFUSED, "conflict")
    ends(t.run("send", "-t", JULIET, "-m", "Hi", jid=nurse, password="other"), NOT_AUTHORIZED)
    secret = place.dir / "secret"
    secret.write_text("susan\n")
    says(t.run("register", "--new-password-file", secret, jid=nurse, password="angelica"),
         f"changed the password of {nurse}")
    ends(t.run("send", "-t", JULIET, "-m", "Hi", jid=nurse, password="angelica"), NOT_AUTHORIZED)
    ends(t.run("register", "--remove", jid=nurse, password="angelica"), NOT_AUTHORIZED)
    says(t.run("register", "--remove", jid=nurse, password="susan"), f"removed {nurse}")
    ends(t.run("send", "-t", JULIET, "-m", "Hi", jid=nurse, password="susan"), NOT_AUTHORIZED)
    found = answers(t.run("register", "--json", jid=nurse, password="susan"))
    assert found == {"jid": nurse, "done": "registered"}, found
    done = t.run("register", "-d", jid="peter@localhost", password="a-password")
    assert done.returncode == DONE and "a-password" not in done.stderr, done
    assert "<password>***</password>" in done.stderr, done


@test
def register_is_refused_where_it_is_closed(place):
    t = tools(place)
    ends(t.run("register", jid="nurse@localhost", password="angelica"), REFUSED)


@test
def register_asks_for_the_new_password_twice(place):
    t = tools(place, "registration=open")
    command = t.command("register", jid="nurse@localhost")
    environment = {"STARLING_PASSWORD": ""}
    code, said = cases.on_a_terminal(command, "angelica", "angelika", env=environment)
    assert code == USAGE, (code, said)
    code, said = cases.on_a_terminal(command, "angelica", "angelica", env=environment)
    assert code == DONE and "angelica" not in said, (code, said)
    says(t.run("send", "-t", JULIET, "-m", "Hi", jid="nurse@localhost", password="angelica"), "Done")


# -- sensors -------------------------------------------------------------------

def serving_device(place):
    """A device by hand, juliet@localhost/1020, and what starts a reader of it; the device answers what it is."""
    device = place.log_in("juliet", resource="1020")
    device.send("<presence/>")
    return device


def answer_disco(device):
    iq = asked(device, DISCO)
    device.send(f"<iq type='result' id='{iq.get('id')}' to='{iq.get('from')}'><query xmlns='{DISCO}'>"
                f"<identity category='client' type='bot'/><feature var='{SENSORDATA}'/></query></iq>")


@test
def a_server_that_dies_while_it_is_read_is_told_in_one_line(place):
    for number, code in ((signal.SIGKILL, COULD_NOT_CONNECT), (signal.SIGSTOP, TIMED_OUT)):
        with cases.Place() as place:
            t = tools(place)
            server = place.servers[0]
            device = serving_device(place)
            with t.start("read", JULIET + "/1020", "--timeout", "3", jid=ROMEO) as read:
                answer_disco(device)
                asked(device, SENSORDATA)
                server.send_signal(number)
                got = read.ends()
                server.send_signal(signal.SIGCONT)
                assert got == code, f"exit {got}, not {code}: {read.err}"
                assert len(read.err.splitlines()) == 1, read.err


@test
def a_device_that_says_nothing_is_timed_out(place):
    t = tools(place)
    device = serving_device(place)
    with t.start("read", JULIET + "/1020", "--timeout", "2", jid=ROMEO) as read:
        answer_disco(device)
        asked(device, SENSORDATA)
        assert read.ends() == TIMED_OUT and len(read.err.splitlines()) == 1, read.err
    ends(t.run("control", JULIET + "/1020", "Power=true", "--timeout", "1", jid=ROMEO), TIMED_OUT)


@test
def a_device_that_would_read_on_in_vain_is_told_to_stop(place):
    t = tools(place)
    device = serving_device(place)
    for arguments, interrupted in ((["--every", "1m", "--count", "1", "--timeout", "1"], False), ([], True)):
        with t.start("read", JULIET + "/1020", *arguments, jid=ROMEO) as read:
            answer_disco(device)
            iq = asked(device, SENSORDATA)
            device.send(f"<iq type='result' id='{iq.get('id')}' to='{iq.get('from')}'>"
                        f"<accepted xmlns='{SENSORDATA}' seqnr='1'/></iq>")
            if interrupted:
                read.process.send_signal(signal.SIGINT)
            assert asked(device, SENSORDATA).elements()[0].name == "cancel"
            assert read.ends() == (DONE if interrupted else TIMED_OUT), read.err
            assert interrupted or "nothing came for 1 s" in read.err, read.err


@test
def ctrl_c_before_the_last_reading_ends_with_0(place):
    t = tools(place)
    with t.start("read", JULIET + "/1020", "--every", "100ms", "--count", "1000", jid=ROMEO) as read:
        read.says("there is no device", times=2)
        assert read.interrupt() == DONE, read.err
    ends(t.run("read", JULIET + "/1020", "--every", "100ms", "--count", "2", jid=ROMEO), REFUSED, "there is no device")


@test
def who_is_no_device_is_told_so(place):
    """R158"""
    t = tools(place)
    with t.start("echo", jid=ROMEO + "/bot") as echo:
        echo.says("echoing as")
        ends(t.run("read", ROMEO + "/bot", jid=JULIET), REFUSED, "romeo@localhost/bot is no sensor", SENSORDATA)
        ends(t.run("control", ROMEO + "/bot", "Power=true", jid=JULIET), REFUSED,
             "romeo@localhost/bot is no device that can be controlled")
        echo.interrupt()
    ends(t.run("control", ROMEO + "/bot", jid=JULIET), REFUSED, "there is no device at romeo@localhost/bot")


@test
def numbers_keep_their_digits_in_json(place):
    t = tools(place)
    device = serving_device(place)
    values = ("26", "26.0", "26.10", "12345678901234567890123", "1e400")
    with t.start("read", JULIET + "/1020", "--json", jid=ROMEO) as read:
        answer_disco(device)
        iq = asked(device, SENSORDATA)
        fields = "".join(f"<numeric name='{v}' momentary='true' value='{v}'/>" for v in values)
        device.send(f"<message to='{iq.get('from')}'><fields xmlns='{SENSORDATA}' seqnr='1' done='true'>"
                    "<node nodeId='1020'><timestamp value='2026-01-01T00:00:00Z'>"
                    f"{fields}</timestamp></node></fields></message>")
        assert read.ends() == DONE, read.err
        found = {field["name"]: field["value"] for field in json.loads(read.out)["fields"]}
        assert found == {"26": 26, "26.0": 26.0, **{v: v for v in values[2:]}}, found


@test
def reading_again_and_again_survives_a_new_start_of_the_server_and_ends_with_0(place):
    server = place.serve()
    place.add("juliet", "romeo")
    where = ["--connect", f"127.0.0.1:{place.port}", "--ca", place.data / "tls/self-signed.crt"]
    t = Tools(place.binary, place.dir, where)
    with t.start("sensor", "--node", "1020", jid=JULIET) as sensor, \
            t.start("read", JULIET + "/1020", "--every", "200ms", jid=ROMEO) as read:
        read.says("Temperature", times=2)
        server.kill()
        server.wait()
        read.says("trying again")
        sensor.says("trying again")
        place.serve()
        sensor.says("connected again")
        seen = read.out.count("Temperature")
        read.says("Temperature", times=seen + 2)
        assert read.interrupt() == DONE, read.err
        assert sensor.interrupt() == DONE, sensor.err


@test
def what_is_wrong_with_the_options_of_sensors_is_said(place):
    t = Tools(place.binary, place.dir)
    for arguments, word in ((["--random", "60:30"], "--random 60:30: LOW must be the smaller one"), (["--random", "30"], "LOW:HIGH"), (["--start", "x"], "x"),
                            (["--field", ":C"], ":C"), (["--parameter", "Power"], "NAME:TYPE=VALUE"),
                            (["--parameter", "Power:boolean=perhaps"], "perhaps"), (["--allow", "@@"], "@@"),
                            (["--random", "1:2", "--start", "3"], "--start"),
                            (["--parameter", ":boolean=true"], "NAME:TYPE=VALUE"),
                            (["--parameter", "Mode:enum=on"], "NAME:TYPE=VALUE"), (["--node", ""], "--node"),
                            (["--parameter", "L:int=1", "--parameter", "L:int=2"], "L is given twice"),
                            (["--field", "T:C", "--field", "T:F"], "T is given twice"),
                            (["--start", str(2**63 - 1)], "--start")):
        ends(t.run("sensor", *arguments, jid=JULIET), USAGE, word)
    device = JULIET + "/1020"
    for arguments, word in (([], "read what?"), ([JULIET], "juliet@localhost/"), ([device, "--every", "10x"], "10x"),
                            ([device, "--every", "0s"], "0s"), ([device, "--count", "3"], "--every")):
        ends(t.run("read", *arguments, jid=ROMEO), USAGE, word)
    both = t.run("read", device, "--csv", "--json", jid=ROMEO)
    assert both.returncode == USAGE and "excludes --csv" in json.loads(both.stdout)["error"]["message"], both
    for arguments, word in (([], "DEVICE"), ([device, "Power"], "NAME=VALUE"), ([device, "Power:colour=x"], "type"),
                            ([device, "L=5", "L:int=9"], "L is given twice")):
        ends(t.run("control", *arguments, jid=ROMEO), USAGE, word)
    nowhere = ["--connect", "127.0.0.1:1"]
    ends(t.run("read", "--fields", "A", "--node", "1", device, jid=ROMEO, where=nowhere), COULD_NOT_CONNECT)


@test
def a_sensor_in_json_is_an_object_a_line(place):
    t = tools(place)
    with t.start("sensor", "--node", "1020", "--json", "--allow", ROMEO, jid=JULIET) as sensor:
        sensor.says("ready")
        answers(t.run("read", JULIET + "/1020", "--json", jid=ROMEO))
        answers(t.run("control", JULIET + "/1020", "Power=true", "--json", jid=ROMEO + "/x"))
        sensor.says("control")
        assert [json.loads(line) for line in sensor.out.splitlines()] == [
            {"kind": "ready", "jid": JULIET + "/1020", "node": "1020"},
            {"kind": "reading", "node": "1020", "fields": {"Temperature": 26}},
            {"kind": "control", "from": ROMEO + "/x", "name": "Power", "value": "true"}], sensor.out
        found = answers(t.run("control", JULIET + "/1020", "--json", jid=ROMEO))
        assert [(row["name"], row["type"], row["value"]) for row in found] == [("Power", "boolean", "true")], found


if __name__ == "__main__":
    sys.exit(cases.main(__doc__))
