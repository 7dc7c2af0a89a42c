"""The lab, step by step: each function is one, gets a Lab, and checks what it sees. Numbers in brackets are rows of the
requirements."""
import json
import re
import time

import peers
import screens
import xmpp
from tools import SECONDS

DOMAIN = "example.org"
ALICE, BOB, CAROL = f"alice@{DOMAIN}", f"bob@{DOMAIN}", f"carol@{DOMAIN}"
DEVICE, READER = f"{ALICE}/1020", f"{BOB}/reader"
steps = []


def step(function):
    steps.append(function)
    return function


class Lab:
    """One server and the tools that find it by DNS. `check` counts and prints."""

    def __init__(self, server, tools, write):
        self.server, self.tools, self.write = server, tools, write
        self.passed = self.failed = 0

    def check(self, what, true, why=""):
        self.passed, self.failed = self.passed + bool(true), self.failed + (not true)
        print(f"{'pass' if true else 'FAIL'} {self.server.name}: {what}")
        if not true and why:
            print("\n".join("    " + line for line in str(why).splitlines()))
        return true

    def screen(self, name, actual):
        diff = screens.compare(name, actual, self.write)
        self.check(f"the screen {name}", not diff, diff)

    def run(self, tool, *arguments, jid):
        """To its end; returns the screen."""
        done = self.tools.run(tool, *arguments, jid=jid)
        return screens.screen([tool, "-j", jid, *arguments], done.stdout, done.stderr, done.returncode)

    def start(self, tool, *arguments, jid):
        running = self.tools.start(tool, *arguments, jid=jid)
        running.title = [tool, "-j", jid, *arguments]
        return running

    def stop(self, running):
        """By Ctrl-C; returns the screen."""
        code = running.interrupt()
        return screens.screen(running.title, running.out, running.err, code)

    def person(self, name, resource):
        """One who speaks XMPP by hand, available."""
        c = self.server.connect(name)
        deadline = time.monotonic() + SECONDS
        c.log_in(name, peers.password_of(name), DOMAIN, deadline)
        c.bind(resource, deadline)
        c.send("<presence/>")
        return c


def next_message(c):
    deadline = time.monotonic() + SECONDS
    while (stanza := c.expect("stanza", deadline)).name != "message":
        pass
    return stanza


def body(stanza):
    found = stanza.find(xmpp.NS_CLIENT, "body")
    return found.text() if found else None


# -- part 1: an echo bot, and a message to it ----------------------------------

@step
def a_message_and_the_echo_bot(lab):
    """[163, 164]"""
    with lab.start("echo", jid=f"{BOB}/echo") as echo:
        echo.says("echoing as")
        lab.screen("send", lab.run("send", "-t", BOB, "-m", "Hello, Alice-Bob", jid=f"{ALICE}/desk"))
        echo.says("Hello, Alice-Bob")
        with lab.start("chat", "-t", BOB, jid=f"{CAROL}/desk") as chat:
            chat.says("talking to")
            chat.write("Are you there?\n")
            chat.says("Thanks for sending\n  Are you there?")
            lab.screen("chat", lab.stop(chat))

        c = lab.person("carol", "hand")
        for kind in ("groupchat", "error"):
            c.send(f"<message to='{BOB}/echo' type='{kind}' id='no'><body>{kind}</body></message>")
        c.send(f"<message to='{BOB}/echo' type='normal' id='yes'><body>normal</body></message>")
        answer = next_message(c)
        lab.check("the echo bot answers chat and normal alone", body(answer) == "Thanks for sending\nnormal",
                  answer.to_xml())
        c.close()
        echo.says(": normal")
        lab.screen("echo", lab.stop(echo))


@step
def the_debug_logs_of_a_message_and_the_echo_bot(lab):
    """[9, 10, 34, 35, 165-168]"""
    with lab.start("echo", "-d", jid=f"{BOB}/echo") as echo:
        echo.says("Event triggered: changed_status")
        echo.says("Event triggered: roster_update")
        c = lab.person("carol", "hand")
        c.send(f"<message to='{BOB}/echo' type='chat'><body>Hello, Alice-Bob</body></message>")
        lab.check("the echo bot answers", body(next_message(c)) == "Thanks for sending\nHello, Alice-Bob")
        c.close()
        lab.check("the echo bot ends with 0", echo.interrupt() == 0, echo.err)
    # To somebody who is away, so that no answer comes at a time of its own; nor has anything waited for Bob.
    done = lab.tools.run("send", "-d", "-t", CAROL, "-m", "Hello, Carol", jid=f"{BOB}/desk")
    logs_are_right(lab, "send", done.stderr, f"{BOB}/desk")
    logs_are_right(lab, "echo", echo.err, f"{BOB}/echo")
    remaining = re.search(r"expiration: (\d+) days", done.stderr)
    lab.check("its certificate's lifetime is right", remaining and 25 <= int(remaining[1]) <= 366, done.stderr)


def logs_are_right(lab, tool, log, own):
    lab.screen(f"{tool}-debug", screens.debug_log(log, own))
    each_stanza_once(lab, tool, log)
    hides_the_password(lab, tool, log, own.partition("@")[0])


COUNTS = r"(\d+) messages?, (\d+) presences?, (\d+) iqs? "
TOTALS = re.compile(f"Sent {COUNTS}.*received {COUNTS}")


def each_stanza_once(lab, tool, log):
    """[166] What was counted is what was logged, and nothing twice."""
    logged = []
    for direction in ("SEND", "RECV"):
        found = [s for s in screens.stanzas(log, direction) if not s.elements() or s.elements()[0].ns != xmpp.NS_BIND]
        logged += [sum(s.name == kind for s in found) for kind in ("message", "presence", "iq")]
        ids = [(s.name, s.get("type"), s.get("from"), s.get("id")) for s in found if s.get("id")]
        lab.check(f"{tool} -d: no stanza is logged twice ({direction})", len(ids) == len(set(ids)), log)
    totals = TOTALS.search(log)
    lab.check(f"{tool} -d: the totals are what was logged", totals and [int(n) for n in totals.groups()] == logged,
              f"{logged}\n{log}")


def hides_the_password(lab, tool, log, name):
    """[166]"""
    secret = peers.password_of(name)
    plain = xmpp.b64(f"\0{name}\0{secret}".encode())
    exchange = re.findall(r"<(auth|challenge|response|success)\b[^>]*>([^<]*)</", log)
    lab.check(f"{tool} -d: secrets are masked", secret not in log and plain not in log and exchange and
              all(content == "***" for _, content in exchange), log)


# -- part 2: a sensor, and who reads it ----------------------------------------

@step
def a_sensor_is_read(lab):
    """[150-154, 157, 158]"""
    with lab.start("sensor", "--node", "1020", "--start", "25", jid=ALICE) as sensor:
        sensor.says("Ctrl-C ends")
        for value in (26, 27, 28):
            lab.screen(f"read-{value}", lab.run("read", DEVICE, jid=READER))
        found = json.loads(lab.tools.run("read", DEVICE, "--json", jid=READER).stdout)
        lab.check("the fifth value is a number in JSON", found["fields"][0]["value"] == 29, found)
        lab.screen("read-csv", lab.run("read", DEVICE, "--csv", jid=READER))
        lab.screen("read-no-field", lab.run("read", DEVICE, "--fields", "Pressure", jid=READER))
        with lab.start("chat", "-t", DEVICE, jid=READER) as chat:
            chat.says("talking to")
            chat.write("hi\n")
            chat.says("starling control")
            lab.screen("hi", lab.stop(chat))
        lab.screen("sensor", lab.stop(sensor))
    lab.screen("read-nobody", lab.run("read", DEVICE, jid=READER))
    lab.screen("read-nothing", lab.run("read", jid=READER))


@step
def a_sensor_of_random_values_is_read_again_and_again(lab):
    """[155]"""
    with lab.start("sensor", "--node", "1020", "--random", "30:60", jid=ALICE) as sensor:
        sensor.says("Ctrl-C ends")
        started = time.monotonic()
        done = lab.tools.run("read", DEVICE, "--every", "1s", "--count", "3", jid=READER)
        took = time.monotonic() - started
        arguments = ["read", "-j", READER, DEVICE, "--every", "1s", "--count", "3"]
        rows = re.compile(r"^(Temperature numeric )(\d+) ", re.M)
        values = [int(value) for _, value in rows.findall(done.stdout)]
        lab.check("three values between 30 and 60", len(values) == 3 and all(30 <= v <= 60 for v in values), values)
        lab.check("a second between one and the next", took >= 2, f"{took:.2f} s")
        screen = screens.screen(arguments, done.stdout, done.stderr, done.returncode)
        lab.screen("read-every", rows.sub(r"\1{n} ", screen))
        lab.check("the sensor ends with 0", sensor.interrupt() == 0, sensor.err)
        seen = [int(line.split()[1]) for line in sensor.out.splitlines()]
        lab.check("both screens have the same values", seen == values, f"{seen} {values}")


@step
def the_debug_logs_of_sensor_and_reader(lab):
    """[150-154, 165-168]"""
    with lab.start("sensor", "--node", "1020", "--start", "25", "-d", jid=ALICE) as sensor:
        sensor.says("Ctrl-C ends")
        sensor.says("Event triggered: changed_status")
        done = lab.tools.run("read", "-d", DEVICE, jid=READER)
        sensor.says("<fields")
        code = sensor.interrupt()
        lab.check("the sensor ends with 0", code == 0, sensor.err)
    logs_are_right(lab, "sensor", sensor.err, DEVICE)
    logs_are_right(lab, "read", done.stderr, READER)


@step
def a_sensor_is_controlled(lab):
    """[156]"""
    with lab.start("sensor", "--node", "1020", "--parameter", "Power:boolean=true", "--parameter", "Level:int=1",
                   "--allow", BOB, jid=ALICE) as sensor:
        sensor.says("Ctrl-C ends")
        lab.screen("control", lab.run("control", DEVICE, "Power=true", "Level=42", jid=READER))
        lab.screen("control-unknown", lab.run("control", DEVICE, "Speed=1", jid=READER))
        lab.screen("control-list", lab.run("control", DEVICE, jid=READER))
        lab.screen("control-bad", lab.run("control", DEVICE, "Level=much", jid=READER))
        lab.screen("control-stranger", lab.run("control", DEVICE, "Power=false", jid=f"{CAROL}/reader"))
        lab.screen("read-stranger", lab.run("read", DEVICE, jid=f"{CAROL}/reader"))
        lab.screen("sensor-controlled", lab.stop(sensor))
