"""Servers to test against, each started in a directory of its own on free loopback ports and stopped by its pid.

    with make_server("prosody") as server:
        server.add_account("juliet")            # password pw-juliet
        connection = server.connect("juliet")   # a TCP connection (xmpp.Connection)

All of them serve the domains `localhost` and `second.localhost` (or those that they are given) with a self-signed
certificate, keep offline messages and (unless told otherwise) archives, and allow in-band registration.
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import xmpp

DOMAIN, SECOND = "localhost", "second.localhost"
START_SECONDS = 60
REPO = Path(__file__).resolve().parents[2]


def password_of(name):
    return "pw-" + name


def binary_path(given=None):
    """The starling to test: the one that was named, or the release build."""
    return str(Path(given or REPO / "build/release/starling").resolve())


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def make_certificate(directory, name="cert", days=30, domains=(DOMAIN, SECOND)):
    """A self-signed certificate for the domains: NAME.pem and NAME.key in `directory`."""
    cert, key = Path(directory) / f"{name}.pem", Path(directory) / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", str(days), "-keyout", key, "-out", cert, "-subj", f"/CN={domains[0]}",
                    "-addext", "subjectAltName=" + ",".join(f"DNS:{d}" for d in domains)],
                   check=True, capture_output=True)
    return cert, key


class Server:
    name = "?"
    stop_signal = signal.SIGTERM
    certificate = None  # once it has started: the file with the one that it shows

    def __init__(self, domains=(DOMAIN, SECOND), archive=True):
        self.domains, self.archive = domains, archive
        self.dir = Path(tempfile.mkdtemp(prefix=f"xmpp-{self.name}-"))
        self.port, self.tls_port = free_ports(2)
        self.process = None
        self.log_path = self.dir / "console.log"

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def spawn(self, command, **kw):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, **kw)

    def start(self):
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at start:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not answer:\n{self.log_tail()}")
            time.sleep(0.02)  # between two attempts to connect

    def answers(self):
        """Whether a stream opens for each domain: a listening port alone may still lack its hosts."""
        for domain in self.domains:
            connection = None
            try:
                connection = xmpp.Connection("probe", ("127.0.0.1", self.port))
                connection.open_stream(domain)
                connection.read_features(time.monotonic() + 5)
            except (OSError, xmpp.Failure):
                return False
            finally:
                if connection:
                    connection.close()
        return True

    def log_tail(self):
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-30:])

    def is_dead(self):
        return self.process.poll() is not None

    def kill(self):
        """As a crash: start() brings it back, with what it had stored."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def connect(self, name, transcript=None, direct_tls=False):
        port = self.tls_port if direct_tls else self.port
        return xmpp.Connection(name, ("127.0.0.1", port), transcript)

    def add_account(self, user, password=None, domain=None):
        """By in-band registration (XEP-0077), which every peer has."""
        deadline = time.monotonic() + 10
        connection = self.connect("registration")
        try:
            connection.secure(domain or self.domains[0], deadline)
            answer = connection.request(
                f"<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{user}</username>"
                f"<password>{password or password_of(user)}</password></query></iq>", deadline)
            if answer.get("type") != "result":
                raise RuntimeError(f"{self.name}: cannot register {user}: {answer.to_xml()}")
        finally:
            connection.close()


class StarlingServer(Server):
    name = "starling"

    def __init__(self, domains=(DOMAIN, SECOND), archive=True, binary=None, settings=None):
        super().__init__(domains, archive)
        self.binary = binary_path(binary)
        self.data = self.dir / "data"
        self.certificate = self.data / "tls/self-signed.crt"
        self.settings = {"domains": ",".join(domains), "listen.c2s": f"127.0.0.1:{self.port}",
                         "listen.c2s_tls": f"127.0.0.1:{self.tls_port}", "registration": "open", "limits.rate": "off",
                         "archive.default": "always" if archive else "never"}
        self.settings.update(settings or {})

    def command(self):
        command = [self.binary, "serve", "--data", str(self.data)]
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        return command

    def launch(self):
        self.spawn(self.command())

    def add_account(self, user, password=None, domain=None):
        done = subprocess.run([self.binary, "user", "add", f"{user}@{domain or self.domains[0]}", "--password",
                               password or password_of(user), "--data", str(self.data)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"user add: exit {done.returncode}: {done.stdout}{done.stderr}")


class ProsodyServer(Server):
    name = "prosody"
    extra = ""  # lines of its configuration

    def launch(self):
        cert, key = make_certificate(self.dir, domains=self.domains)
        self.certificate = cert
        hosts = "\n".join(f'VirtualHost "{domain}"' for domain in self.domains)
        config = self.dir / "prosody.cfg.lua"
        config.write_text(f"""
run_as_root = true
daemonize = false
data_path = "{self.dir}/data"
pidfile = "{self.dir}/prosody.pid"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_ports = {{ {self.tls_port} }}
s2s_ports = {{}}
http_ports = {{}}
https_ports = {{}}
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "private", "vcard_legacy", "pep", "ping", "register", "smacks",
    "version", "time", "uptime", "lastactivity", "offline", "carbons"{', "mam"' if self.archive else ""} }}
modules_disabled = {{ "s2s" }}
allow_registration = true
c2s_require_encryption = true
authentication = "internal_plain"
storage = "internal"
archive_expires_after = "1w"
c2s_stanza_size_limit = 262144
log = {{ warn = "*console" }}
{self.extra}
ssl = {{ certificate = "{cert}", key = "{key}" }}
c2s_direct_tls_ssl = {{ certificate = "{cert}", key = "{key}" }}
{hosts}
""")
        (self.dir / "data").mkdir(exist_ok=True)
        self.spawn(["prosody", "-F", "--config", config], cwd=self.dir)


class EjabberdServer(Server):
    name = "ejabberd"
    stop_signal = signal.SIGKILL  # its data is thrown away with the directory

    def launch(self):
        cert, key = make_certificate(self.dir, domains=self.domains)
        self.certificate = cert
        hosts = ", ".join(f'"{domain}"' for domain in self.domains)
        bundle = self.dir / "bundle.pem"
        bundle.write_text(cert.read_text() + key.read_text())
        config = self.dir / "ejabberd.yml"
        listener = f"""    ip: "127.0.0.1"
    module: ejabberd_c2s
    max_stanza_size: 262144
    access: all_local
"""
        archive = "  mod_mam:\n    default: always\n" if self.archive else ""
        config.write_text(f"""
loglevel: warning
log_rotate_count: 0
hosts: [{hosts}]
certfiles: ["{bundle}"]
auth_method: internal
acme:
  auto: false
registration_timeout: infinity
outgoing_s2s_timeout: 2 seconds
s2s_access: no_one
listen:
  - port: {self.port}
{listener}    starttls: true
    starttls_required: true
  - port: {self.tls_port}
{listener}    tls: true
acl:
  local:
    user_regexp: ""
access_rules:
  all_local:
    allow: all
  no_one:
    deny: all
modules:
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_disco: {{}}
  mod_last: {{}}
{archive}  mod_offline: {{}}
  mod_ping: {{}}
  mod_private: {{}}
  mod_pubsub:
    plugins: [flat, pep]
  mod_register:
    ip_access: all
  mod_stream_mgmt:
    resend_on_timeout: true
  mod_roster:
    versioning: true
  mod_time: {{}}
  mod_vcard:
    search: false
  mod_version: {{}}
""")
        env = dict(os.environ, EJABBERD_CONFIG_PATH=str(config), HOME=str(self.dir),
                   ERL_LIBS="/usr/lib/x86_64-linux-gnu", ERL_CRASH_DUMP=str(self.dir / "crash.dump"),
                   EJABBERD_LOG_PATH=str(self.dir / "ejabberd.log"))
        # Without a distribution name: no epmd is needed and several may run side by side.
        self.spawn(["erl", "-noinput", "-mnesia", "dir", f'"{self.dir}/mnesia"', "-s", "ejabberd"], env=env,
                   cwd=self.dir)


SERVERS = {"starling": StarlingServer, "prosody": ProsodyServer, "ejabberd": EjabberdServer}


def make_server(name, binary=None, domains=(DOMAIN, SECOND), archive=True, **kw):
    """What more is given is for Starling alone."""
    return (StarlingServer(domains, archive, binary, **kw) if name == "starling" else
            SERVERS[name](domains, archive))
