"""A real name server on a free port of 127.0.0.1: Debian's unbound, with the records it is given.

    with NameServer("example.org. IN A 127.0.0.1", refused=["_tcp.example.com"]) as dns:
        dns.address   # 127.0.0.1:PORT

It knows nothing else (every other name is NXDOMAIN) and asks nobody.
"""
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import peers

START_SECONDS = 20
UNBOUND = shutil.which("unbound", path="/usr/sbin:/usr/bin")


class NameServer:
    def __init__(self, *records, refused=()):
        """`refused` are names: queries for them and all below them are answered with REFUSED."""
        self.dir = Path(tempfile.mkdtemp(prefix="xmpp-dns-"))
        self.port, = peers.free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        # A root zone of its own answers everything, so that nothing is asked outside.
        zones = ['local-zone: "." static', *(f'local-zone: "{name}" always_refuse' for name in refused),
                 *(f"local-data: '{record}'" for record in records)]
        (self.dir / "unbound.conf").write_text(f"""server:
  do-daemonize: no
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 1
  module-config: "iterator"
  num-threads: 1
  interface: 127.0.0.1@{self.port}
  access-control: 127.0.0.0/8 allow
  {chr(10).join("  " + zone for zone in zones).strip()}
remote-control:
  control-enable: no
""")

    def __enter__(self):
        log = self.dir / "log"
        with open(log, "wb") as file:
            self.process = subprocess.Popen([UNBOUND or "unbound", "-d", "-p", "-c", self.dir / "unbound.conf"],
                                            stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while "start of service" not in log.read_text():  # said once its port is bound
            if self.process.poll() is not None or time.monotonic() > deadline:
                words = log.read_text()
                self.__exit__()
                raise RuntimeError(f"unbound does not start:\n{words}")
            time.sleep(0.02)  # between two looks
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
