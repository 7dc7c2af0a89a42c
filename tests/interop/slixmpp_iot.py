#!/usr/bin/python3
"""Devices and readers of slixmpp (XEP-0323, XEP-0325) with those of the binary, in both directions.

  slixmpp_iot.py [--binary PATH] [--server starling|prosody|ejabberd]
"""
import asyncio
import json
import signal
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import peers
import slix
import tools
from slix import SECONDS, check, soon, until
from slixmpp.plugins.xep_0323.device import Device as SensorDevice
from slixmpp.plugins.xep_0325.device import Device as ControlDevice

SENSORDATA, CONTROL = "urn:xmpp:iot:sensordata", "urn:xmpp:iot:control"
PLUGINS = ["xep_0030", "xep_0199", ("xep_0323", {"threaded": False}), "xep_0325"]
ALICE, BOB = f"alice@{peers.DOMAIN}/1020", f"bob@{peers.DOMAIN}/reader"


# -- slixmpp as the device -----------------------------------------------------

class Thermometer(SensorDevice):
    """Counts up, as the lab's does; `Broken` is a field that cannot be read and `Old` one with a past."""

    def __init__(self, node):
        super().__init__(node)
        self.temperature = 25
        self._add_field(name="Temperature", typename="numeric", unit="C")
        self._add_field(name="Label", typename="string")
        self._set_momentary_timestamp("2023-04-04T17:02:17")

    def refresh(self, fields):
        self.temperature += 1
        self._add_field_momentary_data("Temperature", str(self.temperature), flags={"automaticReadout": "true"})
        self._add_field_momentary_data("Label", "<on the roof> & dry")


class TwoParts(Thermometer):
    """Sends its two fields in messages of their own, only the second of which is the end."""

    def request_fields(self, fields, flags, session, callback):
        self.refresh(fields)
        for i, name in enumerate(("Temperature", "Label")):
            data = self.momentary_data[name]
            block = {"timestamp": self.momentary_timestamp,
                     "fields": [{"name": name, "value": data["value"], "flags": data["flags"], **self.fields[name]}]}
            callback(session, result="done" if i else "fields", nodeId=self.nodeId, timestamp_block=block)


class Failing(Thermometer):
    def request_fields(self, fields, flags, session, callback):
        callback(session, result="error", nodeId=self.nodeId, timestamp_block=None, error_msg="The wire is cut")


def rows(screen):
    """What stands under the heading of the table, as lists of words."""
    lines = screen.splitlines()
    return [line.split() for line in lines[next(i for i, s in enumerate(lines) if s.startswith("Name ")) + 1:]]


async def slixmpp_is_the_device(server, binary):
    device = slix.Client("alice", "1020", PLUGINS)
    thermometer = Thermometer("1020")
    device["xep_0323"].register_node("1020", thermometer, commTimeout=SECONDS)
    lamp = ControlDevice("1020")
    for name, kind, value in (("Power", "boolean", "false"), ("Level", "int", "1"), ("Colour", "string", "red")):
        lamp._add_control_field(name, kind, value)
    device["xep_0325"].register_node("1020", lamp, commTimeout=SECONDS)
    await device.log_in(server)

    code, out, err = await binary.run("read", ALICE)
    check("slixmpp's device is read", code == 0 and ["Temperature", "numeric", "26", "C"] in rows(out))
    check("and its features are listed", f"- {CONTROL}\n- {SENSORDATA}\n" in out and f"Device: {ALICE}\n" in out)
    check("a string comes as it was sent", ["Label", "string", "<on", "the", "roof>", "&", "dry"] in rows(out))
    code, out, err = await binary.run("read", ALICE, "--json", "--fields", "Temperature")
    found = json.loads(out)
    check("in JSON, the field asked for alone", code == 0 and
          [(f["name"], f["value"], f["unit"], f["node"], f["type"]) for f in found["fields"]] ==
          [("Temperature", 27, "C", "1020", "numeric")] and SENSORDATA in found["features"])
    code, out, err = await binary.run("read", ALICE, "--fields", "Pressure")
    check("a field that it lacks is refused in its words", code == 6 and "Invalid field Pressure" in err)
    code, out, err = await binary.run("read", ALICE, "--node", "1021")
    check("a node that it lacks is refused in its words", code == 6 and "Invalid nodeId 1021" in err)
    code, out, err = await binary.run("read", ALICE, "--every", "100ms", "--count", "3")
    values = [row[2] for row in map(str.split, out.splitlines()) if row[0] == "Temperature"]
    first = int(values[0])
    check("it is read again and again", code == 0 and values == [str(first + i) for i in range(3)])

    device["xep_0323"].register_node("1020", TwoParts("1020"), commTimeout=SECONDS)
    code, out, err = await binary.run("read", ALICE)
    check("data in two messages is read to its end", code == 0 and [row[0] for row in rows(out)] ==
          ["Temperature", "Label"])
    device["xep_0323"].register_node("1020", Failing("1020"), commTimeout=SECONDS)
    code, out, err = await binary.run("read", ALICE)
    check("a failure is told in its words", code == 6 and "The wire is cut" in err and "1020" in err)

    code, out, err = await binary.run("control", ALICE, "Power=true", "Level=42", "Colour=blue")
    check("parameters of three types are set", code == 0 and
          [lamp._get_field_value(name) for name in ("Power", "Level", "Colour")] == ["true", "42", "blue"])
    code, out, err = await binary.run("control", ALICE, "Power=false", "--json")
    check("in JSON", code == 0 and json.loads(out) == {"device": ALICE, "set": {"Power": "false"}})
    code, out, err = await binary.run("control", ALICE, "Speed=1")
    check("a parameter that it lacks is refused and named", code == 6 and "Speed" in err)
    await device.log_out()
    code, out, err = await binary.run("read", ALICE)
    check("a device that has gone is told", code == 6 and f"there is no device at {ALICE}" in err)


# -- slixmpp as the reader -----------------------------------------------------

class Reader(slix.Client):
    def __init__(self):
        super().__init__("bob", "reader", PLUGINS)

    async def read(self, **what):
        """Everything that the callback is told, to the end."""
        told = []
        self["xep_0323"].request_data(BOB, ALICE, lambda **kw: told.append(kw), **what)
        await until(lambda: told and told[-1]["result"] in ("done", "rejected", "failure", "cancelled"))
        return told

    async def set(self, *fields, nodes=None):
        answers = []
        self["xep_0325"].set_request(BOB, ALICE, lambda **kw: answers.append(kw), list(fields), nodeIds=nodes)
        await until(lambda: answers)
        return answers[0]


def values(told):
    return [(f["name"], f["typename"], f["value"], f.get("unit")) for t in told if t["result"] == "fields"
            for f in t["fields"]]


async def slixmpp_is_the_reader(server, binary):
    sensor = await binary.start("sensor", "--node", "1020", "--start", "25", "--parameter", "Power:boolean=true",
                                "--parameter", "Level:int=1", "--allow", BOB, jid=ALICE)
    ready = await soon(sensor.stderr.readline())
    check("the sensor says that it is there", ALICE in ready.decode())
    reader = Reader()
    await reader.log_in(server)

    info = await soon(reader["xep_0030"].get_info(jid=ALICE))
    check("slixmpp finds both features", {SENSORDATA, CONTROL} <= set(info["disco_info"]["features"]))
    momentary = {"momentary": "true"}
    told = await reader.read(flags=momentary)
    check("slixmpp reads it", [t["result"] for t in told] == ["accepted", "fields", "done"] and
          values(told) == [("Temperature", "numeric", "26", "C")])
    check("with node and flags", told[1]["nodeId"] == "1020" and
          told[1]["fields"][0]["flags"] == {"momentary": "true", "automaticReadout": "true"})
    told = await reader.read(flags=momentary, nodeIds=["1020"], fields=["Temperature"])
    check("again, by node and field", values(told) == [("Temperature", "numeric", "27", "C")])
    told = await reader.read(flags=momentary, nodeIds=["1021"])
    check("a node that is not there is rejected", told[-1]["result"] == "rejected" and told[-1]["error_msg"])
    told = await reader.read(flags=momentary, fields=["Pressure"])
    check("a field that is not there is rejected", told[-1]["result"] == "rejected" and told[-1]["error_msg"])

    answer = await reader.set(("Level", "int", "42"))
    check("slixmpp sets a parameter", answer["result"] == "OK")
    answer = await reader.set(("Speed", "int", "1"))
    check("one that is not there is refused", answer["result"] == "NotFound")
    answer = await reader.set(("Level", "int", "2"), nodes=["1021"])
    check("and so is a node that is not there", answer["result"] == "NotFound")
    reader["xep_0325"].set_command(BOB, ALICE, [("Power", "boolean", "false")])
    told = await reader.read(flags=momentary)
    check("a command in a message is carried out", told[-1]["result"] == "failure" and "Power" in told[-1]["error_msg"])
    await reader.set(("Power", "boolean", "true"))
    told = await reader.read(flags=momentary)
    check("and it can be switched on again", values(told) == [("Temperature", "numeric", "28", "C")])

    stranger = slix.Client("carol", "reader", PLUGINS)
    await stranger.log_in(server)
    answer = stranger.make_iq_get(ito=ALICE)
    answer["req"]["seqnr"] = "7"
    try:
        await soon(answer.send())
        refused = None
    except slix.slixmpp.exceptions.IqError as e:
        refused = e.iq
    check("somebody who is not allowed is refused", refused is not None and refused["rejected"]["seqnr"] == "7")
    await stranger.log_out()

    sensor.send_signal(signal.SIGINT)
    out, err = await soon(sensor.communicate())
    check("what was read and set is on its screen", out.decode().splitlines() == [
        "Temperature 26 C", "Temperature 27 C", f"Level=42 set by {BOB}", f"Power=false set by {BOB}",
        f"Power=true set by {BOB}", "Temperature 28 C"])
    check("it ends with 0", sensor.returncode == 0 and not err)
    await reader.log_out()


async def play(server, path):
    binary = slix.Programs(tools.Tools(path, server.dir, slix.where(server)), BOB)
    await slixmpp_is_the_device(server, binary)
    await slixmpp_is_the_reader(server, binary)


if __name__ == "__main__":
    sys.exit(slix.main(__doc__, ["alice", "bob", "carol"], play))
