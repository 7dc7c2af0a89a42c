#!/usr/bin/python3
"""What scripts may rely on: the command line, files, signals, exit codes and configuration of the binary.

  contract.py [--binary PATH] [-k WORDS] [-v]
"""
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import cases
import peers
import xmpp
from cases import DONE, FAILED, NO_SERVER, SECONDS, USAGE, Place, on_a_terminal, soon, stops, test, until


def ping(c):
    answer = c.request(f"<iq type='get' id='p'><ping xmlns='{xmpp.NS_PING}'/></iq>", soon())
    assert answer.get("type") == "result", answer.to_xml()


def ending(c, *conditions):
    """The stream ends with one of these errors, and so does the connection."""
    deadline = soon()
    kind, element = c.next_event(deadline)
    assert kind == "stanza" and (element.ns, element.name) == (xmpp.NS_STREAM, "error"), \
        f"expected a stream error, got {element.to_xml() if element else kind}"
    condition = element.elements()[0].name
    assert not conditions or condition in conditions, f"{condition} is not {conditions}"
    while kind != "eof":
        kind, _ = c.next_event(deadline)
    c.close()


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


# -- starting and stopping -----------------------------------------------------

@test
def a_new_data_directory_is_made_and_private(place):
    place.serve()
    place.add("juliet")
    assert mode(place.data) == 0o700, oct(mode(place.data))
    assert (place.data / "starling.toml").exists()
    sockets = keys = 0
    for path in place.data.rglob("*"):
        if path.is_socket():
            sockets += 1
            assert mode(path) == 0o600, f"{path}: {oct(mode(path))}"
        elif path.is_file() and b"PRIVATE KEY" in path.read_bytes():
            keys += 1
            assert mode(path) == 0o600, f"{path}: {oct(mode(path))}"
    assert sockets == 1 and keys >= 1, (sockets, keys)
    assert not list(place.elsewhere.iterdir()), list(place.elsewhere.iterdir())


@test
def one_ready_line_with_the_addresses_and_the_log_on_stderr(place):
    p = place.serve()
    assert f"127.0.0.1:{place.port}" in p.ready_line and f"127.0.0.1:{place.tls_port}" in p.ready_line, p.ready_line
    place.add("juliet")
    place.log_in("juliet").close()
    stops(p)
    assert p.stdout.read() == b"", "there was more on stdout"
    assert place.log(), "nothing on stderr"


@test
def the_self_signed_certificate_names_the_domains_and_is_kept(place):
    p = place.serve("domains=localhost,second.localhost")
    first = place.certificate()
    text = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-text"], input=first, capture_output=True,
                          check=True).stdout.decode()
    assert "DNS:localhost" in text, text
    stops(p)
    place.serve("domains=localhost,second.localhost")
    assert place.certificate() == first


@test
def a_second_server_on_the_directory_is_refused_and_names_the_first(place):
    p = place.serve()
    said = place.refused()
    assert str(p.pid) in said, said
    assert place.domain_is_served(peers.DOMAIN)


@test
def a_closed_stdout_does_not_end_it(place):
    command = [place.binary, "serve", "--data", str(place.data), "--set", f"listen.c2s=127.0.0.1:{place.port}", "--set",
               "listen.c2s_tls="]
    p = subprocess.Popen(["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.DEVNULL)
    try:
        until("the server", lambda: place.run("status").returncode == DONE)
        stops(p)
    finally:
        p.kill()
        p.wait()


@test
def a_server_that_can_listen_nowhere_is_not_ready(place):
    for places in ("", "203.0.113.1:5222"):  # which this machine is not (RFC 5737)
        assert "no address to listen on" in place.refused(f"listen.c2s={places}")


@test
def a_port_in_use_is_an_error_that_names_it(place):
    place.serve()
    with Place() as other:
        other.port = place.port
        assert str(place.port) in other.refused()


@test
def sigterm_tells_every_client_and_ends_in_time(place):
    p = place.serve()
    place.add("juliet", "romeo")
    clients = [place.log_in("juliet"), place.log_in("romeo"), place.connect("silent")]
    clients[2].open_stream(peers.DOMAIN)
    clients[2].read_features(soon())
    started = time.monotonic()
    p.send_signal(signal.SIGTERM)
    for c in clients:
        ending(c, "system-shutdown")
    assert p.wait(SECONDS) == 0
    assert time.monotonic() - started < 5
    place.serve()
    place.log_in("juliet").close()


@test
def sigint_stops_it_too_and_clients_that_do_not_answer_do_not_hold_it(place):
    p = place.serve()
    place.add("juliet")
    c = place.log_in("juliet")
    stops(p, signal.SIGINT)
    ending(c, "system-shutdown")


@test
def messages_taken_before_a_stop_are_delivered_after_it(place):
    p = place.serve()
    place.add("juliet", "romeo")
    romeo = place.log_in("romeo")
    romeo.send("<message to='juliet@localhost' type='chat' id='m'><body>Keep this</body></message>")
    ping(romeo)
    stops(p)
    place.serve()
    juliet = place.log_in("juliet")
    juliet.send("<presence/>")
    deadline = soon()
    while (stanza := juliet.expect("stanza", deadline)).name != "message":
        pass
    assert stanza.get("id") == "m" and stanza.find("urn:xmpp:delay", "delay"), stanza.to_xml()


# -- certificates and reload ---------------------------------------------------

def with_certificate(place):
    cert, key = peers.make_certificate(place.dir, "first")
    used, used_key = place.dir / "cert.pem", place.dir / "key.pem"
    shutil.copy(cert, used)
    shutil.copy(key, used_key)
    os.chmod(used_key, 0o600)
    return used, used_key, place.serve(f"tls.certificate={used}", f"tls.key={used_key}")


def replace(place, cert, key, name):
    """Both files, by renaming; returns the new certificate as DER."""
    new_cert, new_key = peers.make_certificate(place.dir, name)
    os.chmod(new_key, 0o600)
    der = subprocess.run(["openssl", "x509", "-in", new_cert, "-outform", "der"], capture_output=True,
                         check=True).stdout
    os.rename(new_key, key)
    os.rename(new_cert, cert)
    return der


@test
def reload_takes_a_new_certificate_and_keeps_the_sessions(place):
    cert, key, _ = with_certificate(place)
    place.add("juliet")
    juliet = place.log_in("juliet")
    before = place.certificate()
    new = replace(place, cert, key, "second")
    done = place.run("reload")
    assert done.returncode == DONE, done.stderr
    assert new != before
    until("the new certificate", lambda: place.certificate() == new)
    ping(juliet)


@test
def sighup_takes_a_new_certificate_too(place):
    cert, key, p = with_certificate(place)
    new = replace(place, cert, key, "second")
    p.send_signal(signal.SIGHUP)
    until("the new certificate", lambda: place.certificate() == new)


@test
def a_bad_new_certificate_leaves_the_old_one(place):
    cert, key, p = with_certificate(place)
    place.add("juliet")
    juliet = place.log_in("juliet")
    before = place.certificate()
    cert.write_text("this is no certificate\n")
    said = place.fails(FAILED, "reload")
    assert "cert" in said, said
    assert place.certificate() == before
    p.send_signal(signal.SIGHUP)
    ping(juliet)
    assert place.certificate() == before
    new = replace(place, cert, key, "second")
    assert place.run("reload").returncode == DONE
    until("the new certificate", lambda: place.certificate() == new)


@test
def reload_reads_the_configuration(place):
    p = place.serve(listen=True)
    place.add("juliet")
    juliet = place.log_in("juliet")
    config = place.data / "starling.toml"
    config.write_text("registration = 'open'\n" + config.read_text())
    assert place.run("reload").stdout == "configuration and certificates were read again\n"
    before = config.read_text()
    config.write_text("threads = 7\nstorage = 'memory:'\n'storage.durability' = 'process'\n" + before)
    for _ in range(2):  # it runs on with what it has
        assert place.run("reload").stdout == \
            "configuration and certificates were read again; a restart is needed for storage, " \
            "storage.durability, threads\n"
    config.write_text(before)
    assert place.run("reload").stdout == "configuration and certificates were read again\n"
    until("registration in the features", lambda: registration_is_offered(place))
    ping(juliet)
    config.write_text("registration = 'ajar'\n")
    said = place.fails(FAILED, "reload")
    assert "registration" in said, said
    ping(juliet)
    assert p.poll() is None


def registration_is_offered(place):
    c = place.connect()
    try:
        return c.secure(peers.DOMAIN, soon()).find("http://jabber.org/features/iq-register", "register") is not None
    finally:
        c.close()


# -- accounts ------------------------------------------------------------------

@test
def accounts_with_a_server_running(place):
    place.serve()
    accounts(place)


@test
def accounts_with_no_server_running(place):
    accounts(place)
    place.serve()
    place.log_in("juliet").close()


def accounts(place):
    place.add("juliet", "romeo")
    assert place.json("user", "list")["accounts"] == ["juliet@localhost", "romeo@localhost"]
    assert place.run("user", "list").stdout.split() == ["juliet@localhost", "romeo@localhost"]
    assert "juliet@localhost" in json.dumps(place.json("user", "show", "juliet@localhost"))
    assert "juliet" in place.fails(FAILED, "user", "add", "juliet@localhost", "--password", "again")
    place.fails(FAILED, "user", "add", "juliet@elsewhere.example", "--password", "x")
    place.fails(FAILED, "user", "show", "nobody@localhost")
    place.fails(FAILED, "user", "passwd", "nobody@localhost", "--password", "x")
    place.fails(FAILED, "user", "delete", "nobody@localhost")
    for wrong in ("juliet", "@localhost", "juliet@localhost/balcony"):
        assert wrong in place.fails(USAGE, "user", "add", wrong, "--password", "x")
        assert wrong in place.fails(USAGE, "user", "show", wrong)
    done = place.run("user", "list", "nowhere")
    assert (done.returncode, done.stdout) == (DONE, "") and "nowhere is no domain of this server" in done.stderr, done
    assert place.run("user", "list", "nowhere", "--json").stdout == '{"accounts":[]}\n'
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", place.binary, "user", "list", "--data", str(place.data)],
                          capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == FAILED and "cannot write the output" in done.stderr, done
    assert place.run("user", "add", "nurse@localhost", "--password-stdin", stdin="from stdin\n").returncode == DONE
    assert place.run("user", "delete", "romeo@localhost").returncode == DONE
    assert place.json("user", "list")["accounts"] == ["juliet@localhost", "nurse@localhost"]


@test
def a_password_from_stdin_is_the_first_line(place):
    place.serve()
    assert place.run("user", "add", "nurse@localhost", "--password-stdin", stdin="a b, c=d\nmore\n").returncode == DONE
    place.log_in("nurse", "a b, c=d").close()


@test
def a_new_password_ends_the_sessions(place):
    place.serve("limits.rate=off")
    place.add("juliet", "romeo")
    sessions = [place.log_in("juliet", resource=r) for r in ("a", "b")]
    other = place.log_in("romeo")
    assert place.run("user", "passwd", "juliet@localhost", "--password", "new").returncode == DONE
    for c in sessions:
        ending(c)
    assert place.login_fails("juliet", "pw-juliet")
    ping(place.log_in("juliet", "new"))
    ping(other)


@test
def deleting_an_account_ends_its_sessions_and_subscriptions(place):
    place.serve("limits.rate=off")
    place.add("juliet", "romeo")
    juliet, romeo = place.log_in("juliet"), place.log_in("romeo")
    for c in (juliet, romeo):
        c.request("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>", soon())
        c.send("<presence/>")
    juliet.send("<presence to='romeo@localhost' type='subscribe'/>")
    ping_past(juliet)
    romeo.send("<presence to='juliet@localhost' type='subscribed'/>")
    ping_past(romeo)
    ping_past(juliet)
    assert place.run("user", "delete", "romeo@localhost").returncode == DONE
    ping_past(juliet, "unsubscribed")
    answer = None
    juliet.send("<iq type='get' id='r2'><query xmlns='jabber:iq:roster'/></iq>")
    while answer is None or answer.get("id") != "r2":
        answer = juliet.expect("stanza", soon())
    item = answer.elements()[0].elements()[0]
    assert item.get("subscription") == "none", answer.to_xml()
    while (event := romeo.next_event(soon()))[0] != "eof":
        last = event
    assert last[0] == "end"
    assert place.login_fails("romeo", "pw-romeo")


def ping_past(c, presence_type=None):
    """A round trip that passes over what comes before its answer, or over all before that kind of presence."""
    if presence_type:
        while c.expect("stanza", soon()).get("type") != presence_type:
            pass
        return
    c.send(f"<iq type='get' id='past'><ping xmlns='{xmpp.NS_PING}'/></iq>")
    while c.expect("stanza", soon()).get("id") != "past":
        pass


# -- the running server --------------------------------------------------------

@test
def status_and_sessions(place):
    place.serve()
    place.add("juliet", "romeo")
    assert place.json("sessions")["sessions"] == []
    clients = [place.log_in("juliet", resource="balcony"), place.log_in("romeo", resource="orchard")]
    found = place.json("sessions")["sessions"]
    assert sorted(s["jid"] for s in found) == ["juliet@localhost/balcony", "romeo@localhost/orchard"], found
    assert all("127.0.0.1" in s["address"] for s in found), found
    assert "juliet@localhost/balcony" in place.run("sessions").stdout
    assert isinstance(place.json("status"), dict)
    assert place.run("status").stdout
    clients[0].close()
    until("the session's end", lambda: len(place.json("sessions")["sessions"]) == 1)


@test
def kick(place):
    place.serve()
    place.add("juliet")
    balcony, chamber = (place.log_in("juliet", resource=r) for r in ("balcony", "chamber"))
    assert place.run("kick", "juliet@localhost/balcony").returncode == DONE
    ending(balcony)
    ping(chamber)
    place.fails(FAILED, "kick", "juliet@localhost/balcony")
    place.log_in("juliet", resource="balcony").close()


@test
def a_failed_login_is_one_log_line_with_the_address(place):
    place.serve()
    place.add("juliet")
    before = len(place.log().splitlines())
    assert place.login_fails("juliet", "wrong")
    until("the log line", lambda: len(place.log().splitlines()) > before)
    lines = [line for line in place.log().splitlines()[before:] if "juliet" in line]
    assert len(lines) == 1 and "127.0.0.1" in lines[0], lines
    assert "wrong" not in lines[0], "the password is in the log"


# -- exit codes and usage ------------------------------------------------------

@test
def without_a_server_the_commands_that_need_one_exit_with_3(place):
    place.add("juliet")
    for command in (["status"], ["sessions"], ["reload"], ["kick", "juliet@localhost/x"]):
        place.fails(NO_SERVER, *command)
        done = place.run(*command, "--json")
        assert done.returncode == NO_SERVER
        assert "error" in json.loads(done.stdout or done.stderr)


@test
def wrong_usage_exits_with_2(place):
    place.fails(USAGE, "no-such-command", data=False)
    place.fails(USAGE, "serve", "--no-such-option")
    place.fails(USAGE, "user", "add")
    assert "Usage: starling user [" in place.fails(USAGE, "user", data=False)
    place.fails(USAGE, "kick")
    place.fails(USAGE, "user", "add", "juliet@localhost")  # no password, and no terminal to ask on
    said = place.fails(USAGE, "serve", "--set", "domain=localhost")
    assert "domains" in said, f"no did-you-mean: {said}"
    assert not place.data.exists() or not (place.data / "starling.toml").exists()


@test
def help_and_version_exit_with_0(place):
    for arguments in (["--help"], ["--version"], ["serve", "--help"], ["user", "add", "--help"]):
        done = place.run(*arguments, data=False)
        assert done.returncode == DONE and done.stdout, arguments


@test
def errors_are_json_too(place):
    place.add("juliet")
    done = place.run("user", "show", "nobody@localhost", "--json")
    assert done.returncode == FAILED
    assert json.loads(done.stdout)["error"]["message"]


# -- configuration -------------------------------------------------------------

@test
def set_beats_environment_beats_file(place):
    place.data.mkdir(mode=0o700)
    config = place.data / "starling.toml"
    config.write_text("domains = ['file.example']\nadmins = ['a@file.example']\n")
    p = place.serve()
    assert place.domain_is_served("file.example") and not place.domain_is_served("localhost")
    stops(p)
    env = {"STARLING_DOMAINS": "env.example, more.example", "STARLING_TLS_POLICY": "required",
           "STARLING_PASSWORD": "this is no key"}
    p = place.serve(env=env)
    assert place.domain_is_served("env.example") and place.domain_is_served("more.example")
    assert not place.domain_is_served("file.example")
    stops(p)
    p = place.serve("domains=set.example", env=env)
    assert place.domain_is_served("set.example") and not place.domain_is_served("env.example")


@test
def the_configuration_that_is_written_is_the_defaults(place):
    stops(place.serve())
    text = (place.data / "starling.toml").read_text()
    assert all(line.startswith("#") or line.startswith("[") for line in text.splitlines() if line.strip()), text
    for key in ("domains", "registration", "policy", "stanza_bytes"):
        assert key in text, key
    done = place.run("check", "--set", f"listen.c2s=127.0.0.1:{place.port}", "--set", "listen.c2s_tls=")
    assert done.returncode == DONE, done.stdout


@test
def check_names_file_line_and_column_and_what_was_meant(place):
    place.data.mkdir(mode=0o700)
    config = place.data / "starling.toml"
    config.write_text("# a comment\nregistraton = 'open'\n")
    said = place.fails(FAILED, "check")
    assert f"{config}:2:1" in said and "registration" in said, said
    config.write_text("\n[tls]\n  policy = 'maybe'\n")
    said = place.fails(FAILED, "check")
    assert f"{config}:3:" in said and "required" in said, said
    config.write_text("domains = [\n")
    assert "starling.toml:" in place.fails(FAILED, "check")
    assert "starling.toml:" in place.refused()
    done = place.run("check", "--json")
    assert done.returncode == FAILED
    found = json.loads(done.stdout)
    assert found["ok"] is False and found["findings"], found


@test
def check_finds_bad_certificates_and_taken_ports(place):
    place.serve()
    with Place() as other:
        said = other.fails(FAILED, "check", "--set", f"listen.c2s=127.0.0.1:{place.port}")
        assert str(place.port) in said, said
        bad = other.dir / "bad.pem"
        bad.write_text("nothing")
        said = other.fails(FAILED, "check", "--set", f"tls.certificate={bad}", "--set", f"tls.key={bad}",
                           "--set", f"listen.c2s=127.0.0.1:{other.port}", "--set", "listen.c2s_tls=")
        assert str(bad) in said, said


@test
def tls_off_is_for_loopback_only(place):
    place.refused(f"listen.c2s=0.0.0.0:{place.port}", "tls.policy=off")
    place.serve("tls.policy=off", "auth.plain_without_tls=true")
    place.add("juliet")
    c = place.connect()
    c.open_stream(peers.DOMAIN)
    features = c.read_features(soon())
    assert not features.find(xmpp.NS_TLS, "starttls"), features.to_xml()
    assert c.authenticate("juliet", "pw-juliet", soon(), "PLAIN").name == "success"


@test
def without_tls_plain_is_refused_unless_allowed(place):
    place.serve("tls.policy=off")
    place.add("juliet")
    c = place.connect()
    c.open_stream(peers.DOMAIN)
    c.read_features(soon())
    assert "PLAIN" not in c.mechanisms() and "SCRAM-SHA-1" in c.mechanisms(), c.mechanisms()
    answer = c.authenticate("juliet", "pw-juliet", soon(), "PLAIN")
    assert answer.name == "failure", answer.to_xml()


@test
def a_login_in_the_clear_where_tls_is_optional(place):
    place.serve("tls.policy=optional")
    place.add("juliet")
    c = place.connect()
    c.open_stream(peers.DOMAIN)
    features = c.read_features(soon())
    assert features.find("urn:ietf:params:xml:ns:xmpp-tls", "starttls"), features.to_xml()
    answer = c.authenticate("juliet", "pw-juliet", soon(), "SCRAM-SHA-256")
    assert answer.name == "success", answer.to_xml()


@test
def user_add_asks_twice_on_a_terminal(place):
    def ask(*answers):
        command = [place.binary, "user", "add", "nurse@localhost", "--data", str(place.data)]
        code, said = on_a_terminal(command, *answers)
        assert not any(answer in said for answer in answers), f"a password was shown: {said}"
        return code
    place.serve()
    assert ask("geheimnis", "something else") == FAILED
    assert ask("geheimnis", "geheimnis") == DONE
    place.log_in("nurse", "geheimnis").close()


@test
def registration_is_closed_by_default(place):
    place.serve()
    c = place.connect()
    features = c.secure(peers.DOMAIN, soon())
    assert not features.find("http://jabber.org/features/iq-register", "register"), features.to_xml()
    c.send("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>a</username><password>b</password>"
           "</query></iq>")
    kind, element = c.next_event(soon())
    assert kind != "stanza" or element.get("type") != "result", element.to_xml()
    assert place.json("user", "list")["accounts"] == []


@test
def registration_fields_are_asked_for_and_required(place):
    place.serve("registration=open", "registration.fields=email", "limits.rate=off")
    c = place.connect()
    c.secure(peers.DOMAIN, soon())
    fields = c.request("<iq type='get' id='f'><query xmlns='jabber:iq:register'/></iq>", soon()).elements()[0]
    assert fields.find("jabber:iq:register", "email") is not None, fields.to_xml()
    account = "<username>bill</username><password>Calliope</password>"
    few = c.request(f"<iq type='set' id='1'><query xmlns='jabber:iq:register'>{account}</query></iq>", soon())
    assert few.find(xmpp.NS_CLIENT, "error").find(xmpp.NS_STANZAS, "not-acceptable"), few.to_xml()
    enough = c.request(f"<iq type='set' id='2'><query xmlns='jabber:iq:register'>{account}<email>bard@shakespeare.lit"
                       "</email></query></iq>", soon())
    assert enough.get("type") == "result", enough.to_xml()
    place.log_in("bill", "Calliope").close()


@test
def offline_messages_can_be_switched_off(place):
    """R55: packet 1746 of S2."""
    place.serve("offline.enabled=false", "archive.default=never")
    place.add("juliet", "romeo")
    romeo = place.log_in("romeo")
    romeo.send("<message to='juliet@localhost' type='chat' id='m'><body>Hi</body></message>")
    answer = romeo.expect("stanza", soon(), xmpp.NS_CLIENT, "message")
    error = answer.find(xmpp.NS_CLIENT, "error")
    assert answer.get("type") == "error" and answer.get("id") == "m" and error.get("type") == "cancel" and \
        error.find(xmpp.NS_STANZAS, "service-unavailable"), answer.to_xml()


@test
def limits_can_be_set(place):
    place.serve("limits.stanza_bytes=20000", "limits.depth=10", "limits.sessions_per_account=2")
    place.add("juliet", "romeo")
    big, deep = place.log_in("juliet"), place.log_in("romeo")
    big.send("<message to='romeo@localhost'><body>" + 21000 * "x" + "</body></message>")
    ending(big, "policy-violation")
    deep.send("<message to='juliet@localhost'>" + 12 * "<a>" + 12 * "</a>" + "</message>")
    ending(deep, "policy-violation")
    kept = [place.log_in("juliet", resource=r) for r in ("a", "b")]
    third = place.connect()
    third.log_in("juliet", "pw-juliet", peers.DOMAIN, soon())
    third.send(f"<iq type='set' id='b'><bind xmlns='{xmpp.NS_BIND}'><resource>c</resource></bind></iq>")
    answer = third.expect("stanza", soon())
    assert answer.get("type") == "error", answer.to_xml()
    for c in kept:
        ping(c)


@test
def storage_in_memory_forgets(place):
    p = place.serve("storage=memory:")
    place.add("juliet")
    place.log_in("juliet").close()
    stops(p)
    place.serve("storage=memory:")
    assert place.login_fails("juliet", "pw-juliet")


@test
def the_data_directory_is_never_shared_with_others(place):
    place.data.mkdir(mode=0o755)
    place.serve()
    assert mode(place.data) == 0o700, oct(mode(place.data))


if __name__ == "__main__":
    sys.exit(cases.main(__doc__))
