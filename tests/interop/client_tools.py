#!/usr/bin/python3
"""What scripts may rely on in all the subcommands that log in to a server: exit codes, passwords, certificates, DNS,
signals, reconnecting. What each of them prints is in client_commands.py.

  client_tools.py [--binary PATH] [-k WORDS] [-v]
"""
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import cases
import peers
from cases import heard, on_a_terminal, test, until
from nameserver import NameServer
from tools import COULD_NOT_CONNECT, DONE, NOT_AUTHORIZED, REFUSED, TIMED_OUT, USAGE, Tools, ends, says

JULIET, ROMEO = "juliet@localhost", "romeo@localhost"


# -- running them --------------------------------------------------------------

def where(place, port=None):
    return ["--connect", f"127.0.0.1:{port or place.port}", "--ca", place.data / "tls/self-signed.crt"]


def tools(place, *sets, accounts=("juliet", "romeo")):
    """A server with accounts, and the tools that find it."""
    place.serve(*sets)
    place.add(*accounts)
    return Tools(place.binary, place.dir, where(place))


def send(t, *arguments, jid=JULIET, to=ROMEO, **kw):
    return t.run("send", "-t", to, "-m", "Hi", *arguments, jid=jid, **kw)


class Listener:
    """Takes connections on a port of its own, counts them, and either closes them at once or says nothing at all."""

    def __init__(self, silent=False):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.silent, self.taken, self.kept = silent, 0, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.taken += 1
            if self.silent:
                self.kept.append(connection)
            else:
                connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes accept()
        for s in (self.socket, *self.kept):
            s.close()


def unused_port():
    return peers.free_ports(1)[0]


# -- exit codes ----------------------------------------------------------------

@test
def done_is_0(place):
    says(send(tools(place)), "Done")


@test
def wrong_usage_is_2(place):
    t = Tools(place.binary, place.dir)
    ends(t.run("send", "-m", "Hi", jid=JULIET), USAGE, "--to")
    ends(t.run("send", "-t", ROMEO, "-m", "Hi", "--no-such-option", jid=JULIET), USAGE, "--no-such-option")
    ends(send(t, jid="localhost"), USAGE, "NAME@DOMAIN")
    ends(send(t, jid="@localhost"), USAGE)
    ends(send(t, to="@@"), USAGE, "@@")
    ends(send(t, "--connect", "localhost:xmpp"), USAGE, "localhost:xmpp")
    ends(send(t, "--timeout", "0"), USAGE, "timeout")
    ends(send(t, "--ca", place.dir / "missing"), USAGE, "missing")
    for wrong in ("0", "abc", "1e30", "nan", "90000"):
        ends(send(t, "--timeout", wrong), USAGE, "timeout", wrong, "86400")
    ends(t.run("send", "-t", ROMEO, "-m", "", jid=JULIET), USAGE, "nothing to send")
    ends(send(t, "--dns", "nonsense"), USAGE, "--dns", "nonsense")
    ends(send(t, "--ca", "/etc/passwd"), USAGE, "--ca", "/etc/passwd")
    for password in (b"a\x07b", b"a\x00b", b"Gr\xfc\xdfe"):
        done = subprocess.run(t.command("send", "-t", ROMEO, "-m", "Hi", "--password-stdin", jid=JULIET), input=password,
                              capture_output=True, env=t.environment(JULIET, "", None), timeout=cases.SECONDS)
        assert done.returncode == USAGE and b"the password is not valid" in done.stderr, done


@test
def wrong_usage_is_told_in_one_line(place):
    t = Tools(place.binary, place.dir)
    for command, words in ((["send", "-m", "Hi"], "--to is required; see starling send --help"),
                           (["vcard set", "fn=x", "--no-such-option"], "--no-such-option; see starling vcard set --help"),
                           (["vcard gte"], "there is no command 'gte'; did you mean 'get'?"),
                           (["roster", "drop"], "drop")):
        said = ends(t.run(*command, jid=JULIET), USAGE, words)
        assert len(said.splitlines()) == 1, said
        done = t.run(*command, "--json", jid=JULIET)
        assert done.returncode == USAGE and words in json.loads(done.stdout)["error"]["message"], done
        assert not done.stderr, done
    done = place.run("ping", "localhost", data=False)
    ends(done, USAGE, "--jid is required; see starling ping --help")


@test
def what_cannot_be_connected_to_is_3(place):
    place.serve()
    t = Tools(place.binary, place.dir)
    port = unused_port()
    ends(send(t, where=where(place, port)), COULD_NOT_CONNECT, f"127.0.0.1:{port}")
    with Listener() as listener:  # nobody who speaks XMPP
        ends(send(t, where=where(place, listener.port)), COULD_NOT_CONNECT)
    with NameServer() as dns:
        ends(send(t, jid="juliet@nowhere.example", where=["--dns", dns.address]), COULD_NOT_CONNECT, "nowhere.example")
    ends(send(t, jid="juliet@other.example", where=where(place)), COULD_NOT_CONNECT)  # a domain that it does not serve


@test
def a_login_that_is_refused_is_4(place):
    t = tools(place)
    said = ends(send(t, password="wrong"), NOT_AUTHORIZED, JULIET)
    assert "wrong" not in said, f"the password is shown: {said}"
    ends(send(t, jid="nobody@localhost"), NOT_AUTHORIZED, "nobody@localhost")
    assert json.loads(send(t, "--json", password="wrong").stdout)["error"]["message"]


@test
def silence_is_5(place):
    place.serve()
    t = Tools(place.binary, place.dir)
    with Listener(silent=True) as listener:
        started = time.monotonic()
        ends(send(t, "--timeout", "1", where=where(place, listener.port)), TIMED_OUT, "1 s")
        assert time.monotonic() - started < 8
        assert listener.taken == 1


@test
def what_the_peer_refuses_is_6(place):
    t = tools(place)
    ends(send(t, to="nobody@localhost"), REFUSED, "service-unavailable")
    assert json.loads(send(t, "--json", to="nobody@localhost").stdout)["error"]["message"]


@test
def what_the_server_refuses_after_the_login_is_6_too(place):
    ends(tools(place).run("send", "-t", ROMEO, "-m", "<" * 120_000, jid=JULIET), REFUSED, "policy-violation")


ALL = ("send", "echo", "chat", "listen", "ping", "disco", "roster", "presence", "vcard get", "vcard set", "iq",
       "time", "version", "last", "register", "sensor", "read", "control")


@test
def help_of_each_has_an_example_and_the_options_of_all(place):
    for tool in ALL:
        done = place.run(*tool.split(), "--help", data=False)
        assert done.returncode == DONE, tool
        assert f"\n  starling {tool} " in done.stdout, f"{tool}: no example"
        for option in ("--jid", "--password-stdin", "--password-file", "--connect", "--ca", "--insecure", "--dns",
                       "--timeout", "--json", "--verbose", "--debug", "STARLING_PASSWORD", "terminal"):
            assert option in done.stdout, f"{tool}: no {option}"
    codes = place.run("--help", data=False).stdout
    assert all(word in codes for word in ("Exit codes", "3 ", "4 not authorised", "5 timed out", "6 refused")), codes


# -- passwords -----------------------------------------------------------------

@test
def the_password_comes_from_stdin_a_file_or_the_environment(place):
    t = tools(place)
    says(send(t, "--password-stdin", password="", stdin="pw-juliet\nmore"), "Done")
    says(send(t, "--password-stdin", password="", stdin="pw-juliet"), "Done")
    secret = place.dir / "secret"
    secret.write_text("pw-juliet\n")
    says(send(t, "--password-file", secret, password=""), "Done")
    says(send(t), "Done")  # STARLING_PASSWORD
    says(send(t, "--password-file", secret, password="wrong"), "Done")  # what is said in the command counts
    ends(send(t, password=""), USAGE, "--password-stdin", "--password-file", "STARLING_PASSWORD")
    ends(send(t, "--password-stdin", password="", stdin=""), USAGE)
    ends(send(t, "--password-file", place.dir / "missing", password=""), USAGE, "missing")
    ends(send(t, "--password-file", secret, "--password-stdin", password=""), USAGE)


@test
def the_password_is_asked_for_on_a_terminal_and_not_shown(place):
    t = tools(place)
    command = t.command("send", "-t", ROMEO, "-m", "Hi", jid=JULIET)
    environment = {"STARLING_PASSWORD": "", "STARLING_JID": ""}
    code, said = on_a_terminal(command, "pw-juliet", env=environment)
    assert code == DONE and "Done" in said and JULIET in said and "pw-juliet" not in said, (code, said)
    code, said = on_a_terminal(command, "wrong", env=environment)
    assert code == NOT_AUTHORIZED and "wrong" not in said, (code, said)


@test
def ctrl_c_and_ctrl_d_end_the_question_and_leave_the_terminal_as_it_was(place):
    t = Tools(place.binary, place.dir)
    command = t.command("echo", jid=JULIET)
    for key, code in ((b"\x03", -signal.SIGINT), (b"\x04", USAGE)):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(command[0], command, t.environment(JULIET, "", None))
        said = b""
        while b": " not in said:
            said += os.read(terminal, 1000)
        assert not termios.tcgetattr(terminal)[3] & termios.ECHO, "what is typed would be shown"
        os.write(terminal, key)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code
        assert termios.tcgetattr(terminal)[3] & termios.ECHO, "what is typed stays invisible"
        os.close(terminal)


@test
def the_account_can_be_set_in_the_environment(place):
    t = tools(place)
    command = [t.binary, "send", *map(str, t.where), "-t", ROMEO, "-m", "Hi"]
    environment = {**t.environment(JULIET, None, None), "STARLING_JID": JULIET}
    says(subprocess.run(command, capture_output=True, text=True, env=environment, timeout=cases.SECONDS), "Done")


# -- where and how to connect --------------------------------------------------

@test
def connect_takes_names_and_both_families(place):
    both = f"127.0.0.1:{place.port},[::1]:{place.port}" if socket.has_dualstack_ipv6() else f"127.0.0.1:{place.port}"
    place.serve(f"listen.c2s={both}", listen=False)
    place.add("juliet", "romeo")
    t = Tools(place.binary, place.dir)
    ca = place.data / "tls/self-signed.crt"
    for host in ("127.0.0.1", "localhost") + (("[::1]",) if "::1" in both else ()):
        says(send(t, where=["--connect", f"{host}:{place.port}", "--ca", ca]), "Done")


@test
def direct_tls(place):
    t = tools(place)
    says(send(t, "--direct-tls", where=where(place, place.tls_port)), "Done")
    done = send(t, "--direct-tls", "-d", where=where(place, place.tls_port))
    assert "starttls" not in done.stderr, done.stderr


@test
def without_tls_nothing_is_sent_where_it_is_required(place):
    t = tools(place, "tls.policy=off", "auth.plain_without_tls=true")
    port = ["--connect", f"127.0.0.1:{place.port}"]
    done = send(t, "-d", where=port)
    ends(done, COULD_NOT_CONNECT, "no encryption")
    assert "<auth" not in done.stderr, done.stderr
    says(send(t, "--tls", "optional", where=port), "Done")
    says(send(t, "--tls", "off", where=port), "Done")


@test
def an_untrusted_certificate_is_refused_with_advice(place):
    t = tools(place)
    port = ["--connect", f"127.0.0.1:{place.port}"]
    ends(send(t, where=port), COULD_NOT_CONNECT, "self-signed", "--ca")
    done = send(t, "-d", where=port)
    assert "<auth" not in done.stderr, "it went on to log in"
    done = send(t, "--insecure", where=port)
    assert (done.returncode, done.stdout) == (DONE, "Done\n"), done
    assert "warning" in done.stderr and "--insecure" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


@test
def a_certificate_for_another_name_is_refused_with_both_names(place):
    """R8"""
    cert, key = peers.make_certificate(place.dir, "wrong", domains=("other.example",))
    os.chmod(key, 0o600)
    t = tools(place, f"tls.certificate={cert}", f"tls.key={key}")
    there = ["--connect", f"127.0.0.1:{place.port}", "--ca", cert]
    ends(send(t, where=there), COULD_NOT_CONNECT, "localhost", "other.example")
    found = json.loads(send(t, "--json", where=there).stdout)
    assert "other.example" in found["error"]["message"], found


@test
def an_expired_certificate_is_refused_with_its_date(place):
    cert, key = peers.make_certificate(place.dir, "old", days=1)
    subprocess.run(["openssl", "x509", "-in", cert, "-signkey", key, "-days", "-1", "-out", cert], check=True,
                   capture_output=True)
    os.chmod(key, 0o600)
    t = tools(place, f"tls.certificate={cert}", f"tls.key={key}")
    ends(send(t, where=["--connect", f"127.0.0.1:{place.port}", "--ca", cert]), COULD_NOT_CONNECT, "expired on")


@test
def v_tells_of_tls_and_the_certificate(place):
    """R9, R10"""
    t = tools(place)
    said = send(t, "-v").stderr
    assert re.search(r"TLSv1\.3, cipher TLS_\w+", said), said
    assert re.search(r"CERT: Time until certificate expiration: \d+ days, \d+:\d\d:\d\d", said), said
    assert "SEND" not in said and "Event" not in said, said


# -- DNS -----------------------------------------------------------------------

SRV = "_xmpp-client._tcp.localhost.example."


def srv(priority, weight, port, host="host.localhost.example."):
    return f"{SRV} IN SRV {priority} {weight} {port} {host}"


def served(place, *sets):
    """A server for a domain that DNS is to find, on loopback."""
    return tools(place, "domains=localhost.example", *sets, accounts=())


def add(place, *names):
    for name in names:
        done = place.run("user", "add", f"{name}@localhost.example", "--password", peers.password_of(name))
        assert done.returncode == DONE, done.stderr


def by_dns(place, dns):
    return ["--dns", dns.address, "--ca", place.data / "tls/self-signed.crt"]


HOST = "host.localhost.example. IN A 127.0.0.1"
JULIET_DNS, ROMEO_DNS = "juliet@localhost.example", "romeo@localhost.example"


@test
def srv_records_are_followed_in_their_order(place):
    """R35, R36"""
    t = served(place)
    add(place, "juliet", "romeo")
    dead = unused_port()
    with NameServer(srv(20, 0, place.port), srv(10, 0, dead), HOST) as dns:
        done = send(t, "-d", jid=JULIET_DNS, to=ROMEO_DNS, where=by_dns(place, dns))
    assert done.returncode == DONE, done.stderr
    steps = [line for line in done.stderr.splitlines() if "Querying" in line or "Connecting" in line]
    assert "DEBUG DNS: Querying _xmpp-client._tcp.localhost.example for SRV records." in steps, steps
    assert "DEBUG DNS: Querying host.localhost.example for AAAA records." in steps, steps
    assert "DEBUG DNS: Querying host.localhost.example for A records." in steps, steps
    ports = [int(line.rpartition(":")[2]) for line in steps if "Connecting" in line]
    assert ports == [dead, place.port], steps


@test
def srv_records_of_direct_tls_are_followed_too(place):
    t = served(place)
    add(place, "juliet", "romeo")
    direct = f"_xmpps-client._tcp.localhost.example. IN SRV 5 0 {place.tls_port} host.localhost.example."
    with NameServer(direct, srv(10, 0, unused_port()), HOST) as dns:
        done = send(t, "-d", jid=JULIET_DNS, to=ROMEO_DNS, where=by_dns(place, dns))
    assert done.returncode == DONE and "starttls" not in done.stderr, done.stderr


@test
def srv_weights_share_the_load_and_the_backup_is_last(place):
    """R36: 10/60, 10/20, 10/20 and 20/0"""
    runs = 60
    t = Tools(place.binary, place.dir)
    listeners = [Listener() for _ in range(4)]
    try:
        ports = [listener.port for listener in listeners]
        records = [srv(priority, weight, port) for port, (priority, weight) in
                   zip(ports, ((10, 60), (10, 20), (10, 20), (20, 0)))]
        first = {port: 0 for port in ports}
        with NameServer(*records, HOST) as dns:
            for _ in range(runs):
                done = send(t, "-v", jid=JULIET_DNS, where=["--dns", dns.address])
                tried = [int(port) for port in re.findall(r"Connecting to 127\.0\.0\.1:(\d+)", done.stderr)]
                assert sorted(tried) == sorted(ports) and tried[-1] == ports[3], (tried, ports, done.stderr)
                first[tried[0]] += 1
    finally:
        for listener in listeners:
            listener.__exit__()
    # Four standard deviations of what is expected, 36, 12 and 12 of 60.
    for port, expected in zip(ports, (36, 12, 12, 0)):
        assert abs(first[port] - expected) <= (16 if expected == 36 else 13), first


@test
def a_domain_that_says_it_has_no_service_is_not_tried(place):
    t = Tools(place.binary, place.dir)
    with NameServer(srv(0, 0, 0, "."), "localhost.example. IN A 127.0.0.1") as dns:
        done = send(t, "-d", jid=JULIET_DNS, where=["--dns", dns.address])
    ends(done, COULD_NOT_CONNECT, "localhost.example")
    assert "Connecting" not in done.stderr, done.stderr


def own_address():
    """A loopback address that nobody else is likely to use, so that the default port is free on it."""
    number = os.getpid() % 60000
    return f"127.53.{number // 250}.{number % 250 + 1}"


@test
def without_srv_records_it_is_the_domain_itself_and_the_default_port(place):
    """R34, R35"""
    address = own_address()
    t = served(place, f"listen.c2s={address}:5222")
    add(place, "juliet", "romeo")
    with NameServer(f"localhost.example. IN A {address}") as dns:
        done = send(t, "-d", jid=JULIET_DNS, to=ROMEO_DNS, where=by_dns(place, dns))
    assert done.returncode == DONE, done.stderr
    for line in ("DEBUG DNS: Querying localhost.example for AAAA records.",
                 "DEBUG DNS: Querying localhost.example for A records.", f"Connecting to {address}:5222"):
        assert line in done.stderr, done.stderr


@test
def an_srv_lookup_that_fails_is_a_warning(place):
    """R37"""
    address = own_address()
    t = served(place, f"listen.c2s={address}:5222")
    add(place, "juliet", "romeo")
    with NameServer(f"localhost.example. IN A {address}", refused=["_tcp.localhost.example."]) as dns:
        done = send(t, "-v", jid=JULIET_DNS, to=ROMEO_DNS, where=by_dns(place, dns))
        assert (done.returncode, done.stdout) == (DONE, "Done\n"), done
        assert re.search(r"^WARNING .*SRV", done.stderr, re.M), done.stderr


@test
def a_name_server_that_is_down_is_a_warning_and_past_it_one_connects(place):
    """R37"""
    t = served(place)
    add(place, "juliet", "romeo")
    down = ["--dns", f"127.0.0.1:{unused_port()}", "--ca", place.data / "tls/self-signed.crt"]
    done = send(t, "-v", jid=JULIET_DNS, to=ROMEO_DNS, where=[*down, "--timeout", "15"])
    ends(done, COULD_NOT_CONNECT, "WARNING ", "trying localhost.example itself, port 5222", "--connect")
    says(send(t, jid=JULIET_DNS, to=ROMEO_DNS, where=[*down, "--connect", f"127.0.0.1:{place.port}"]), "Done")


# -- signals, timeouts, reconnecting -------------------------------------------

@test
def sigint_and_sigterm_end_with_0_and_a_closed_stream(place):
    t = tools(place)
    for number in (signal.SIGINT, signal.SIGTERM):
        with t.start("echo", "-d", jid=ROMEO) as echo:
            echo.says("echoing as")
            assert echo.interrupt(number) == DONE, echo.err
            assert "SEND (IMMED): </stream:stream>" in echo.err and "End of stream received" in echo.err, echo.err
        until("the session's end", lambda: place.json("sessions")["sessions"] == [])


@test
def sigint_while_connecting_ends_with_0_too(place):
    t = Tools(place.binary, place.dir)
    with Listener(silent=True) as listener:
        for tool in (["send", "-t", ROMEO, "-m", "Hi"], ["echo"]):
            with t.start(*tool, "--connect", f"127.0.0.1:{listener.port}", jid=JULIET) as p:
                taken = listener.taken
                until("the connection", lambda: listener.taken > taken or p.process.poll() is not None)
                assert p.interrupt() == DONE, p.err


@test
def one_shot_commands_do_not_come_back(place):
    t = Tools(place.binary, place.dir)
    with Listener() as listener:
        ends(send(t, "--connect", f"127.0.0.1:{listener.port}"), COULD_NOT_CONNECT)
        assert listener.taken == 1


WAITING = re.compile(r"Waiting ([\d.]+) seconds before connecting")


@test
def long_commands_come_back_when_the_server_does(place):
    """R38"""
    server = place.serve()
    place.add("juliet", "romeo")
    t = Tools(place.binary, place.dir, where(place))
    with t.start("echo", jid=ROMEO) as echo:
        echo.says("echoing as")
        server.kill()
        server.wait()
        echo.says("trying again")
        lines = echo.err.splitlines()
        assert len([line for line in lines if "trying again" in line]) <= 2, lines
        place.serve()
        echo.says("connected again")
        c = place.log_in("juliet")
        c.send(f"<message to='{ROMEO}' type='chat'><body>Are you back?</body></message>")
        heard(c, "Thanks for sending\nAre you back?")
        assert echo.interrupt() == DONE


@test
def long_commands_come_back_after_an_orderly_stop_too(place):
    server = place.serve()
    place.add("romeo")
    with Tools(place.binary, place.dir, where(place)).start("echo", jid=ROMEO) as echo:
        echo.says("echoing as")
        cases.stops(server)
        echo.says("system-shutdown")
        place.serve()
        echo.says("connected again")
        assert echo.interrupt() == DONE


@test
def the_newer_of_two_with_one_resource_wins_and_the_other_ends(place):
    t = tools(place)
    with t.start("echo", jid=ROMEO + "/bot") as first, t.start("echo", jid=ROMEO + "/bot") as second:
        first.says("echoing as")  # whichever of the two is first
        second.says("echoing as")
        until("the end of one", lambda: {first.process.poll(), second.process.poll()} != {None})
        loser, winner = (first, second) if first.process.poll() is not None else (second, first)
        assert loser.ends() == REFUSED and "conflict" in loser.err and "--node" in loser.err, loser.err
        assert "trying again" not in loser.err, loser.err
        assert winner.interrupt() == DONE


@test
def a_tool_ends_when_nobody_reads_what_it_prints(place):
    t = tools(place)
    with subprocess.Popen(t.command("listen", "-d", jid=ROMEO + "/ear"), env=t.environment(ROMEO, None, None), cwd=t.dir,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listen:
        assert b"romeo@localhost/ear" in listen.stdout.readline()
        listen.stdout.close()
        says(send(t), "Done")
        said = listen.stderr.read()
        assert listen.wait(cases.SECONDS) == 141
        assert b"End of stream received" in said and b"error" not in said, said
    until("the session's end", lambda: place.json("sessions")["sessions"] == [])
    done = subprocess.run(["bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "bash", *t.command("disco", jid=ROMEO)],
                          env=t.environment(ROMEO, None, None), capture_output=True, text=True, timeout=cases.SECONDS)
    assert (done.returncode, done.stderr) == (141, ""), done


def redirected(t, redirection, *arguments, jid):
    """Run to its end, with a redirection of the shell's."""
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *t.command(*arguments, jid=jid)]
    return subprocess.run(command, capture_output=True, text=True, timeout=cases.SECONDS, cwd=t.dir,
                          env=t.environment(jid, None, None))


@test
def a_stderr_that_is_closed_or_full_changes_nothing(place):
    t = tools(place)
    for redirection in ("2>&-", "2>/dev/full", "<&- 2>&-"):
        done = redirected(t, redirection, "ping", "-d", jid=JULIET)
        assert done.returncode == DONE and "answer from localhost" in done.stdout, done
        done = redirected(t, redirection, "send", "-t", "nobody@localhost", "-m", "Hi", "--insecure", jid=JULIET)
        assert done.returncode == REFUSED and not done.stdout, done
        assert redirected(t, redirection, "send", "--no-such-option", jid=JULIET).returncode == USAGE
    assert redirected(t, ">&- 2>&-", "ping", jid=JULIET).returncode == 1  # of stdout: the next test


@test
def output_that_is_lost_is_an_error(place):
    t = tools(place)
    with t.start("sensor", "--node", "1020", jid=JULIET) as sensor:
        sensor.says("Ctrl-C ends")
        device = JULIET + "/1020"
        for command in (["ping"], ["disco"], ["ping", "--json"], ["send", "-t", ROMEO, "-m", "Hi"], ["--help"],
                        ["read", device], ["read", device, "--csv"], ["read", device, "--json"],
                        ["read", device, "--every", "1s"], ["read", device, "--every", "1s", "--csv"], ["listen"],
                        ["listen", "--json"]):
            done = redirected(t, ">/dev/full", *command, jid=ROMEO)
            assert done.returncode == 1, (command, done)
            assert done.stderr == "starling: error: cannot write the output: No space left on device\n", (command, done)
        for command in (["ping"], ["disco", "--json"], ["listen"], ["--help"]):
            done = redirected(t, ">&-", *command, jid=ROMEO)
            assert done.returncode == 1, (command, done)
            assert done.stderr == "starling: error: cannot write the output: Bad file descriptor\n", (command, done)


@test
def what_is_not_utf_8_is_not_sent(place):
    t = tools(place)
    command = [*t.command("send", "-t", ROMEO, jid=JULIET), "-m", b"Gr\xfc\xdfe"]
    done = subprocess.run(command, capture_output=True, env=t.environment(JULIET, None, None), timeout=cases.SECONDS)
    assert done.returncode == USAGE and b"UTF-8" in done.stderr, done
    romeo = place.log_in("romeo")
    romeo.send("<presence/>")
    command = t.command("chat", "-t", ROMEO, jid=JULIET)
    done = subprocess.run(command, input=b"Gr\xfc\xdfe\nHello", capture_output=True,
                          env=t.environment(JULIET, None, None), timeout=cases.SECONDS)
    assert done.returncode == DONE and b"not UTF-8" in done.stderr, done
    heard(romeo, "Hello")


@test
def the_waits_between_attempts_grow_and_are_left_to_chance(place):
    """R38"""
    t = Tools(place.binary, place.dir, ["--connect", f"127.0.0.1:{unused_port()}"])
    clients = [t.start("echo", "-d", jid=ROMEO) for _ in range(3)]
    try:
        for p in clients:
            p.says("Waiting", times=3)
        waits = [[float(w) for w in WAITING.findall(p.err)][:3] for p in clients]
        for p in clients:
            assert p.interrupt() == DONE
    finally:
        for p in clients:
            p.__exit__(None)
    for one in waits:
        for plain, wait in zip((1, 2, 4), one):
            assert plain / 2 <= wait <= plain * 1.5, waits
    assert len({tuple(one) for one in waits}) == 3, waits


@test
def a_refused_login_or_certificate_ends_long_commands_too(place):
    t = tools(place)
    ends(t.run("echo", jid=ROMEO, password="wrong"), NOT_AUTHORIZED, ROMEO)
    ends(t.run("echo", jid=ROMEO, where=["--connect", f"127.0.0.1:{place.port}"]), COULD_NOT_CONNECT, "self-signed")


if __name__ == "__main__":
    sys.exit(cases.main(__doc__))
