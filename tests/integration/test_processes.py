"""Processes that tests start: like those of an interpreter of their own, and none outlives what started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from processes import SERVER, Process, command_file, run, sallygate, start
from support import held_port, until


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_a_command_is_run_with_its_words_directory_environment_and_exit_code(tmp_path: Path) -> None:
    done = sallygate("check", "there-is-none.yaml", directory=tmp_path, env={**os.environ, "NO_COLOR": "1"})
    real = run(sys.executable, "-m", "sallygate", "check", "there-is-none.yaml", command=True, directory=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (real.returncode, real.stdout, real.stderr)
    assert done.returncode == 1 and "there-is-none.yaml" in done.stderr
    assert sallygate("no-such-command").returncode == 2


def test_a_process_leads_a_group_and_gets_signals() -> None:
    process = start("sh", "-c", "kill -TERM $$", command=True)
    assert process.wait(5) == -signal.SIGTERM and process.poll() == -signal.SIGTERM
    process.close()
    process = start("sleep", "100", command=True)
    assert os.getpgid(process.pid) == os.getsid(process.pid) == process.pid != os.getpgrp()
    process.stop(5)
    assert process.returncode == -signal.SIGTERM


def test_streams_and_descriptors_are_handed_over() -> None:
    assert run("cat", command=True, input="said").stdout == "said"
    reader, writer = os.pipe()
    process = start("sh", "-c", "echo $OWN >&7; readlink /proc/self/fd/0", command=True, descriptors={7: writer},
                    env={**os.environ, "OWN": "PID"})  # fmt: skip
    os.close(writer)
    assert process.wait(5) == 0
    assert int(os.read(reader, 100)) == process.pid
    os.close(reader)
    process.close()


@pytest.mark.parametrize("first", ["its test", "the session", "the server"])
def test_who_is_started_ends_with_who_started_it(tmp_path: Path, first: str) -> None:
    """A process and a child that it left behind, each in the group of the first."""
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(tmp_path / "s")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdin is not None and server.stdout is not None and server.stdout.readline() == b"ready\n"
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.connect(str(tmp_path / "s"))
    said = '{"kind": "command", "words": ["sh", "-c", "sleep 100 & echo $!; wait"], "env": {}, "directory": "/", "descriptors": [1]}'
    reader, writer = os.pipe()
    socket.send_fds(client, [said.encode()], [writer])
    os.close(writer)
    process = Process(client, ())
    child = int(os.read(reader, 100))
    os.close(reader)
    assert alive(process.pid) and alive(child)
    if first == "its test":
        process.close()
    elif first == "the session":
        server.stdin.close()
    else:
        server.kill()
    until(lambda: not alive(process.pid))
    if first == "the server":
        os.kill(child, signal.SIGKILL)
    until(lambda: not alive(child))
    server.stdin.close()
    server.wait()
    server.stdout.close()


def test_a_script_finds_the_command(tmp_path: Path) -> None:
    file = command_file(tmp_path / "bin")
    done = subprocess.run(
        ["sh", "-c", f"{file} --version; {file} check none.yaml; echo $?"], capture_output=True, text=True
    )
    assert done.stdout.splitlines()[0].startswith("sallygate ") and done.stdout.splitlines()[-1] == "1"


def test_a_held_port_is_for_one_server_and_refuses_meanwhile() -> None:
    port = held_port()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)):
        server.accept()[0].close()
