"""Server processes on loopback, their processor time, and wrk. A peer that is not installed is said to be missing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = Path(__file__).with_name("apps.py")
LAB_PYTHON = ROOT / ".venv-lab" / "bin" / "python"
"""Where peers from the package index live: `make lab-peers`."""
CONNECTIONS = 16
START_S = 30.0
SLOW_S = 0.03
"""A request that takes longer is measured one by one, `SLOW_REQUESTS` times, and not by wrk."""
SLOW_REQUESTS = 20
TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """A peer is not installed. The message says which, and how it is."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tool(name: str) -> str:
    """Path of a program from Debian or from the lab's own environment."""
    beside = LAB_PYTHON.with_name(name)
    if beside.is_file():
        return str(beside)
    for directory in (None, "/usr/sbin:/usr/bin"):
        if (found := shutil.which(name, path=directory)) is not None:
            return found
    raise Missing(f"{name} is not installed: make lab-peers")


def family(pid: int) -> list[int]:
    """The process and its children's children."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


def cpu_s(pid: int) -> float:
    """Processor seconds of a process and its children, all threads, so far."""
    ticks = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


@dataclass(frozen=True)
class Server:
    name: str
    process: subprocess.Popen[bytes]
    url: str


@contextmanager
def running(
    name: str, command: list[str], url: str, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """The process, once it answers anything at all; ended with SIGTERM."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL
        )
    try:
        deadline = time.monotonic() + START_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield Server(name, process, url)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _open(url: str, headers: Mapping[str, str], body: bytes | None, method: str, wait_s: float) -> int:
    context = ssl._create_unverified_context()  # our own certificate of a minute ago
    request = urllib.request.Request(url, body, dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=wait_s, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _answers(url: str) -> bool:
    try:
        _open(url + "/", {}, None, "GET", 2.0)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Shot:
    """One kind of request, and what it must be answered."""

    target: str
    headers: Mapping[str, str]
    status: int = 200
    method: str = "GET"
    body: bytes | None = None


def ask(server: Server, shot: Shot) -> int:
    """Sent once; the status."""
    return _open(server.url + shot.target, shot.headers, shot.body, shot.method, 30.0)


def check(server: Server, shot: Shot) -> None:
    """Raises when the server does not answer as the measurement supposes."""
    status = ask(server, shot)
    if status != shot.status:
        raise RuntimeError(f"{server.name} answered {shot.method} {shot.target} with {status}, not {shot.status}")


def _one_by_one(server: Server, shot: Shot) -> tuple[float, float]:
    """For a server so slow that a window of wrk would end amid most of its requests."""
    before, began = cpu_s(server.process.pid), time.monotonic()
    for _ in range(SLOW_REQUESTS):
        check(server, shot)
    spent, took = cpu_s(server.process.pid) - before, time.monotonic() - began
    return spent / SLOW_REQUESTS * 1e6, SLOW_REQUESTS / took


def cpu_us_each(server: Server, shot: Shot, seconds: int, directory: Path) -> tuple[float, float]:
    """(processor microseconds a request, requests a second) of `server` under `shot`, on kept-alive connections."""
    check(server, shot)
    began = time.monotonic()
    check(server, shot)
    if time.monotonic() - began > SLOW_S:
        return _one_by_one(server, shot)
    script = directory / "shot.lua"
    lines = [f'wrk.method = "{shot.method}"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in shot.headers.items()]
    if shot.body is not None:
        lines.append(f"wrk.body = [[{shot.body.decode()}]]")
    script.write_text("\n".join(lines) + "\n")
    before = cpu_s(server.process.pid)
    done = subprocess.run(
        [tool("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script),
         server.url + shot.target],
        capture_output=True, check=True, text=True, timeout=seconds + 60,
    ).stdout  # fmt: skip
    spent = cpu_s(server.process.pid) - before
    match = re.search(r"(\d+) requests in ([0-9.]+)s", done)
    if match is None:
        raise RuntimeError(f"wrk said: {done}")
    count = int(match[1])
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    refused = int(other[1]) if other else 0
    if refused != (0 if shot.status < 400 else count):
        raise RuntimeError(f"{server.name}: {refused} of {count} answers were refusals; expected {shot.status}")
    return spent / max(count, 1) * 1e6, count / float(match[2])


# the servers ----------------------------------------------------------------------------------------------------------


def python_server(kind: str, port: int, log: Path, python: Path | str = sys.executable, tls: bool = False,
                  **env: str):  # type: ignore[no-untyped-def]  # fmt: skip
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    return running(kind, [str(python), str(APPS), kind, str(port)], url, log, env)


def gateway(policy: Path, port: int, log: Path):  # type: ignore[no-untyped-def]
    return running(
        "Sallygate", [sys.executable, "-m", "sallygate", "up", str(policy)], f"https://127.0.0.1:{port}", log
    )


NGINX = """
%(modules)s
worker_processes 1;
daemon off;
pid %(directory)s/nginx.pid;
error_log %(directory)s/error.log warn;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path %(directory)s/body; proxy_temp_path %(directory)s/proxy; fastcgi_temp_path %(directory)s/f;
  uwsgi_temp_path %(directory)s/u; scgi_temp_path %(directory)s/s;
  keepalive_requests 100000000;
  upstream api { server 127.0.0.1:%(upstream)d; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:%(port)d%(listen)s;
    %(server)s
    location / { %(location)s }
  }
}
"""
PASS = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://api;'


def nginx(name: str, directory: Path, port: int, *, upstream: int = 9, answer: bytes | None = None,
          tls: tuple[Path, Path] | None = None, waf: bool = False):  # type: ignore[no-untyped-def]  # fmt: skip
    """nginx, one worker: answering `answer`, or proxying; with ModSecurity and the Core Rule Set if `waf`."""
    directory.mkdir(parents=True, exist_ok=True)
    server = f"ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]}; ssl_protocols TLSv1.2 TLSv1.3;" if tls else ""
    modules = ""
    if waf:
        module, rules = Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so"), directory / "rules.conf"
        crs = Path("/usr/share/modsecurity-crs/rules")
        if not module.is_file() or not crs.is_dir():
            raise Missing("ModSecurity or its Core Rule Set is not installed: make lab-peers")
        modules = f"load_module {module};"
        rules.write_text(
            "Include /etc/nginx/modsecurity.conf\nInclude /etc/modsecurity/crs/crs-setup.conf\n"
            f"Include {crs}/*.conf\nSecRuleEngine On\nSecAuditEngine Off\n"
        )
        server += f" modsecurity on; modsecurity_rules_file {rules};"
    location = PASS
    if answer is not None:
        location = f"default_type application/json; return 200 '{answer.decode()}';"
    file = directory / "nginx.conf"
    file.write_text(
        NGINX
        % {"directory": directory, "port": port, "upstream": upstream, "modules": modules, "server": server,
           "location": location, "listen": " ssl" if tls else ""}
    )  # fmt: skip
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    return running(name, [tool("nginx"), "-p", str(directory), "-c", str(file)], url, directory / "log")


ENVOY = """
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %(port)d}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates: [{certificate_chain: {filename: "%(cert)s"}, private_key: {filename: "%(key)s"}}]
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts: [{name: api, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: api}}]}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: api
    type: STATIC
    load_assignment:
      cluster_name: api
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %(upstream)d}}}}]
"""


def envoy(directory: Path, port: int, upstream: int, tls: tuple[Path, Path]):  # type: ignore[no-untyped-def]
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "envoy.yaml"
    file.write_text(ENVOY % {"port": port, "upstream": upstream, "cert": tls[0], "key": tls[1]})
    command = [tool("envoy"), "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    return running("Envoy", command, f"https://127.0.0.1:{port}", directory / "log")
