#!/usr/bin/python3
"""The programs of examples/ with each other, on a server of ours.

  examples.py [--binary PATH] [-k WORDS] [-v]   (they are in examples/ beside the binary)
"""
import os
import re
import signal
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import cases
import peers
import xmpp
from cases import soon, test, until
from tools import Examples

JULIET, ROMEO = "juliet@localhost", "romeo@localhost"
DONE, FAILED, USAGE, COULD_NOT_CONNECT, NOT_AUTHORIZED = 0, 1, 2, 3, 4


def examples(place):
    place.serve()
    place.add("juliet", "romeo")
    where = ["--connect", f"127.0.0.1:{place.port}", "--ca", place.data / "tls/self-signed.crt"]
    return Examples(place.binary, place.dir, where)


def says(done, code, *words):
    assert done.returncode == code, f"exit {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    for word in words:
        assert word in done.stdout + done.stderr, f"no {word!r} in {done.stdout + done.stderr!r}"


def next_message(c):
    while (stanza := c.expect("stanza", soon())).name != "message":
        pass
    return stanza


@test
def the_echo_bot_hears_what_send_sends(place):
    """R163, R164"""
    e = examples(place)
    with e.start("echo_bot", jid=ROMEO + "/bot") as bot:
        bot.says("echoing as romeo@localhost/bot")
        done = e.run("send", "-t", ROMEO, "-m", "Hello, Romeo", jid=JULIET + "/pen")
        says(done, DONE)
        assert done.stdout == "Done\n" and not done.stderr, done
        bot.says("answered juliet@localhost/pen")


@test
def what_runs_until_it_is_interrupted_closes_its_stream(place):
    e = examples(place)
    for number in (signal.SIGINT, signal.SIGTERM):
        for name in ("echo_bot", "sensor"):
            with e.start(name, jid=ROMEO + "/1020") as p:
                p.says("as romeo@localhost/1020")
                assert p.interrupt(number) == DONE and not p.err, p.err
                until("the session's end", lambda: place.json("sessions")["sessions"] == [])


@test
def the_echo_bot_answers_chat_and_normal_alone(place):
    """R163"""
    e = examples(place)
    with e.start("echo_bot", jid=ROMEO + "/bot") as bot:
        bot.says("echoing as")
        c = place.log_in("juliet")
        for kind in ("groupchat", "headline", "error"):
            c.send(f"<message to='{ROMEO}/bot' type='{kind}' id='no'><body>{kind}</body></message>")
        for kind in ("chat", "normal"):
            c.send(f"<message to='{ROMEO}/bot' type='{kind}'><body>{kind}</body></message>")
            answer = next_message(c)  # the first: the others were not answered
            assert answer.find(xmpp.NS_CLIENT, "body").text() == f"Thanks for sending\n{kind}", answer.to_xml()
            assert answer.get("from") == ROMEO + "/bot", answer.to_xml()


@test
def the_echo_bot_comes_back_when_the_server_does(place):
    e = examples(place)
    with e.start("echo_bot", jid=ROMEO + "/bot") as bot:
        bot.says("echoing as")
        server = place.servers[-1]
        server.terminate()
        server.wait()
        place.serve()
        c = place.log_in("juliet")
        c.send(f"<message to='{ROMEO}/bot' type='chat'><body>Are you back?</body></message>")
        assert next_message(c).find(xmpp.NS_CLIENT, "body").text() == "Thanks for sending\nAre you back?"


@test
def send_delivers_the_message(place):
    e = examples(place)
    c = place.log_in("romeo")
    c.send("<presence/>")
    says(e.run("send", "-t", ROMEO, "-m", "<& ÿ €", jid=JULIET), DONE)
    message = next_message(c)
    assert message.find(xmpp.NS_CLIENT, "body").text() == "<& ÿ €" and message.get("type") == "chat", message.to_xml()


@test
def send_tells_by_its_exit_code_what_went_wrong(place):
    """R164"""
    e = examples(place)
    args = ("-t", ROMEO, "-m", "Hi")
    says(e.run("send", "-t", "nobody@localhost", "-m", "Hi", jid=JULIET), FAILED, "service-unavailable")
    says(e.run("send", "-t", ROMEO, jid=JULIET), USAGE, "usage: ", "-m TEXT")
    says(e.run("send", *args, jid=JULIET, password=""), USAGE, "usage: ")
    says(e.run("send", "-t", "a@b@c", "-m", "Hi", jid=JULIET), USAGE, "not valid")
    nowhere = ["--connect", f"127.0.0.1:{peers.free_ports(1)[0]}"]
    says(e.run("send", *args, jid=JULIET, where=nowhere), COULD_NOT_CONNECT, "connection refused")
    says(e.run("send", *args, jid=JULIET, password="wrong"), NOT_AUTHORIZED, "password")
    says(e.run("send", *args, jid=JULIET, where=["--connect", f"127.0.0.1:{place.port}"]), COULD_NOT_CONNECT,
         "self-signed")


@test
def the_reader_reads_the_sensor(place):
    e = examples(place)
    with e.start("sensor", jid=JULIET + "/1020") as sensor:
        sensor.says("sensor 1020 as juliet@localhost/1020")
        done = e.run("reader", "-t", JULIET + "/1020", jid=ROMEO)
        says(done, DONE)
        assert re.fullmatch(r"Load \d+ %\n", done.stdout) and not done.stderr, done


@test
def each_tells_by_its_exit_code_that_it_could_not_log_in(place):
    e = examples(place)
    (place.dir / "file").write_bytes(b"x")
    for name, arguments in (("echo_bot", ()), ("sensor", ()), ("reader", ("-t", JULIET + "/1020")),
                            ("transfer", ("-f", "file", "-t", JULIET + "/x")), ("picture", ("-f", "file", "-t", JULIET))):
        says(e.run(name, *arguments, jid=ROMEO + "/1020", password="wrong"), NOT_AUTHORIZED, "password")
    says(e.run("sensor", jid=ROMEO), USAGE, "romeo@localhost/NODE")


@test
def the_reader_says_that_there_is_no_sensor(place):
    e = examples(place)
    done = e.run("reader", "-t", JULIET + "/1020", jid=ROMEO)
    says(done, FAILED, "service-unavailable")
    with e.start("echo_bot", jid=JULIET + "/1020") as bot:
        bot.says("echoing as")
        says(e.run("reader", "-t", JULIET + "/1020", jid=ROMEO), FAILED, "service-unavailable")


@test
def transfer_moves_a_file(place):
    """R85, R134; a mebibyte: slixmpp_files.py"""
    e = examples(place)
    for data in (b"", os.urandom(10_000)):
        (place.dir / "sent").write_bytes(data)
        with e.start("transfer", "-f", "received", jid=JULIET + "/desk") as receiver:
            receiver.says("waiting as juliet@localhost/desk")
            says(e.run("transfer", "-f", "sent", "-t", JULIET + "/desk", jid=ROMEO + "/desk"), DONE,
                 f"sent {len(data)} bytes")
            receiver.says(f"received {len(data)} bytes from romeo@localhost/desk")
            assert receiver.ends() == DONE
        assert (place.dir / "received").read_bytes() == data


@test
def transfer_says_what_went_wrong(place):
    e = examples(place)
    (place.dir / "sent").write_bytes(b"x" * 100)
    to = ("-t", JULIET + "/desk")
    says(e.run("transfer", "-f", "sent", *to, jid=ROMEO), FAILED, "service-unavailable")
    says(e.run("transfer", "-f", "nothing", *to, jid=ROMEO), USAGE, "cannot be opened")
    says(e.run("transfer", "-f", "sent", "-t", "a@b@c", jid=ROMEO), USAGE, "not valid")
    says(e.run("transfer", *to, jid=ROMEO), USAGE, "usage: ", "-f FILE")
    says(e.run("transfer", "-f", "sent", "-x", "y", jid=ROMEO), USAGE, "usage: ")
    with e.start("transfer", "-f", "received", "--block", "200", jid=JULIET + "/desk") as receiver:
        receiver.says("waiting as")
        says(e.run("transfer", "-f", "sent", *to, jid=ROMEO), FAILED, "resource-constraint")  # no smaller one is tried
    with e.start("transfer", "-f", "received", jid=JULIET + "/desk") as receiver:
        receiver.says("waiting as")
        c = place.log_in("romeo")
        c.send(f"<iq type='set' id='o' to='{JULIET}/desk'>"
               "<open xmlns='http://jabber.org/protocol/ibb' sid='s' block-size='4096'/></iq>")
        c.send(f"<iq type='set' id='d' to='{JULIET}/desk'>"
               "<data xmlns='http://jabber.org/protocol/ibb' sid='s' seq='1'>eA==</data></iq>")
        receiver.says("seq 1 where 0 was due")
        assert receiver.ends() == FAILED


@test
def picture_shows_one(place):
    """R85"""
    e = examples(place)
    data = os.urandom(2000)
    (place.dir / "shown.png").write_bytes(data)
    with e.start("picture", "-f", "saved.png", jid=JULIET + "/desk") as watcher:
        watcher.says("waiting as juliet@localhost/desk")
        says(e.run("picture", "-f", "shown.png", "-t", JULIET, jid=ROMEO), DONE, JULIET + "/desk has seen sha1+")
        assert watcher.ends() == DONE
    assert (place.dir / "saved.png").read_bytes() == data


@test
def picture_says_what_went_wrong(place):
    e = examples(place)
    (place.dir / "shown.png").write_bytes(b"png")
    (place.dir / "large.png").write_bytes(b"x" * 65_537)
    says(e.run("picture", "-f", "shown.png", "-t", "nobody@localhost", jid=ROMEO), FAILED, "service-unavailable")
    says(e.run("picture", "-f", "large.png", "-t", JULIET, jid=ROMEO), FAILED, "65536 is the most")
    says(e.run("picture", "-f", "nothing.png", "-t", JULIET, jid=ROMEO), USAGE, "No such file")
    with e.start("picture", "-f", "saved.png", jid=JULIET + "/desk") as watcher:
        watcher.says("waiting as")
        c = place.log_in("romeo")
        c.send(f"<message to='{JULIET}/desk'><html xmlns='http://jabber.org/protocol/xhtml-im'>"
               "<body xmlns='http://www.w3.org/1999/xhtml'><img src='cid:sha1+00@bob.xmpp.org'/></body></html></message>")
        asked = c.expect("stanza", soon())
        cid = asked.find("urn:xmpp:bob", "data").get("cid")
        c.send(f"<iq type='result' to='{JULIET}/desk' id='{asked.get('id')}'>"
               f"<data xmlns='urn:xmpp:bob' cid='{cid}' type='image/png'>eA==</data></iq>")
        watcher.says("the data is not that of " + cid)
        assert watcher.ends() == FAILED


if __name__ == "__main__":
    sys.exit(cases.main(__doc__))
