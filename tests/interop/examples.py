#!/usr/bin/python3
"""The programs of examples/ with each other, on a server of ours.

  examples.py [--binary PATH] [-k WORDS] [-v]   (they are in examples/ beside the binary)
"""
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import cases
import peers
import xmpp
from cases import soon, test
from tools import Tools

JULIET, ROMEO = "juliet@localhost", "romeo@localhost"
DONE, FAILED, USAGE, COULD_NOT_CONNECT, NOT_AUTHORIZED = 0, 1, 2, 3, 4


class Examples(Tools):
    """They take the options that the subcommands take as well."""

    def command(self, tool, *arguments, **kw):
        return [str(Path(self.binary).parent / "examples" / tool), *super().command(tool, *arguments, **kw)[2:]]


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
        bot.says("echoing as", times=2)


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
def the_reader_says_that_there_is_no_sensor(place):
    e = examples(place)
    done = e.run("reader", "-t", JULIET + "/1020", jid=ROMEO)
    says(done, FAILED, "service-unavailable")
    with e.start("echo_bot", jid=JULIET + "/1020") as bot:
        bot.says("echoing as")
        says(e.run("reader", "-t", JULIET + "/1020", jid=ROMEO), FAILED, "service-unavailable")


if __name__ == "__main__":
    sys.exit(cases.main(__doc__))
