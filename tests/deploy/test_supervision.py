"""deploy/supervisord.conf: Supervisor starts, keeps and stops a service, here a small one."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from deploy_files import ROOT, SUPERVISION, load

pytest.importorskip("supervisor", reason="of the extra service")

# It writes down its process, that of a child, which only the end of the test stops, and its
# arguments. It ends at once if a file says so, and with exit code 2 after SIGUSR1.
SERVICE = """#!/bin/sh
if [ -e "$HOME/code" ]; then
    echo "0 0 - $*" >>"$HOME/calls"
    echo "expected a store, got none"
    exit "$(cat "$HOME/code")"
fi
trap 'exit 2' USR1
sleep 600 >/dev/null 2>&1 &
echo "$$ $! $RAY_AUTH_MODE $# $*" >>"$HOME/calls"
wait
"""
# It refuses to do anything while the service runs.
RAY = """#!/bin/sh
echo "$1" >>"$HOME/ray"
[ ! -e "$HOME/calls" ] || ! kill -0 "$(tail -n 1 "$HOME/calls" | cut -d ' ' -f 1)" 2>/dev/null
"""


class Head:
    """A home with an installation, and with small programs in the place of raysweep and Ray."""

    def __init__(self, home):
        self.home, self.tmp = home, home / "tmp"
        self.tmp.mkdir()
        self.bin = home / "raysweep" / ".venv" / "bin"
        self.bin.mkdir(parents=True)
        self.conf = home / "raysweep" / "deploy" / "supervisord.conf"
        self.conf.parent.mkdir()
        shutil.copy(SUPERVISION, self.conf)
        for name in ("supervisord", "supervisorctl"):
            (self.bin / name).symlink_to(Path(sys.executable).parent / name)
        for name, text in {"raysweep": SERVICE, "ray": RAY}.items():
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    def call(self, *words):
        """Run a command in the home, and return its exit code and its output."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TMPDIR": str(self.tmp)}
        done = subprocess.run(
            words, env=env, cwd=self.home, capture_output=True, text=True, check=False, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    def supervisord(self):
        return self.call(str(self.bin / "supervisord"), "-c", str(self.conf))

    def ctl(self, *words):
        return self.call(str(self.bin / "supervisorctl"), "-c", str(self.conf), *words)

    def change(self, old, new):
        """Change the settings of Supervisor."""
        text = self.conf.read_text()
        assert old in text
        self.conf.write_text(text.replace(old, new))

    def start_ray(self):
        """Run the commands of `ray up` on the head, and return what the last one did."""
        for command in load(ROOT / "deploy" / "local.yaml")["head_start_ray_commands"]:
            code, output = self.call("bash", "-c", command)
            if code:
                break
        return code, output

    def calls(self):
        """The starts of the service so far: its process, its child's, and the rest."""
        path = self.home / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [
            (int(service), int(child), rest)
            for service, child, rest in (line.split(" ", 2) for line in lines)
        ]

    def wait_for_calls(self, count):
        """Wait for so many starts, and ask for the state meanwhile, which wakes Supervisor."""
        wait_until(lambda: self.ctl("status") and len(self.calls()) >= count)
        return self.calls()[-1]

    def close(self):
        """End all that was started."""
        pid_file = self.home / ".raysweep" / "supervisor.pid"
        if pid_file.exists():
            self.ctl("stop", "raysweep")
            os.kill(int(pid_file.read_text()), signal.SIGKILL)  # sooner than by `shutdown`
        for _, child, _ in self.calls():
            if child and is_alive(child):
                os.kill(child, signal.SIGKILL)


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(process):
    """Whether a process runs; one that has ended may be listed until its parent has looked."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def head():
    """A head on which the service has started as soon as it runs, so that nothing waits for it."""
    with tempfile.TemporaryDirectory(prefix="raysweep head-") as home:  # short, for a socket
        head = Head(Path(home))
        head.change("startsecs=15", "startsecs=0")
        yield head
        head.close()


@pytest.fixture
def started(head):
    (head.home / ".raysweep").mkdir(mode=0o700)
    assert head.supervisord() == (0, "")
    assert head.ctl("start", "raysweep") == (0, "raysweep: started\n")
    head.wait_for_calls(1)
    return head


def test_a_service_that_is_started_has_its_settings_and_ray_s_token(started):
    ((_, _, rest),) = started.calls()
    assert rest == f"token 3 serve --config {started.conf.parent}/service.yaml"
    code, output = started.ctl("status")
    assert (code, output.split()[:2]) == (0, ["raysweep", "RUNNING"])


def test_a_service_that_dies_is_started_again(started):
    ((service, _, _),) = started.calls()
    os.kill(service, signal.SIGKILL)
    assert started.wait_for_calls(2)[0] != service
    assert started.ctl("status")[0] == 0


def test_a_service_that_refuses_its_settings_after_its_start_is_not_started_again(started):
    ((service, _, _),) = started.calls()
    os.kill(service, signal.SIGUSR1)
    wait_until(lambda: "EXITED" in started.ctl("status")[1])
    assert started.ctl("status")[0] == 3
    assert len(started.calls()) == 1


@pytest.mark.slow
def test_a_service_that_fails_to_start_is_named_and_tried_again(head):
    head.change("startsecs=0", "startsecs=15")
    (head.home / "code").write_text("2")
    code, output = head.start_ray()
    assert code == 1
    assert "raysweep: ERROR (spawn error)" in output
    assert output.endswith("expected a store, got none\n")
    (head.home / "code").unlink()
    head.wait_for_calls(2)
    wait_until(lambda: head.calls()[-1][0])
    assert head.ctl("status")[0] == 0


def test_a_service_that_is_stopped_has_ended_and_its_children_run_on(started):
    ((service, child, _),) = started.calls()
    assert started.ctl("stop", "raysweep") == (0, "raysweep: stopped\n")
    assert not is_alive(service)
    assert is_alive(child)
    assert started.ctl("status")[0] == 3


def test_the_end_of_supervisor_ends_the_service_and_its_children_run_on(started):
    ((service, child, _),) = started.calls()
    assert started.ctl("shutdown") == (0, "Shut down\n")
    wait_until(lambda: started.ctl("status")[0] == 4)  # no Supervisor
    assert not is_alive(service)
    assert is_alive(child)


def test_a_second_start_does_no_harm(started):
    assert started.ctl("start", "raysweep")[0] == 0
    code, output = started.supervisord()
    assert code == 2
    assert "already listening" in output
    ((service, _, _),) = started.calls()
    assert started.ctl("pid", "raysweep") == (0, f"{service}\n")


def test_ray_up_again_starts_ray_and_the_service_anew(head):
    assert head.start_ray()[0] == 0
    (first, _, _) = head.wait_for_calls(1)
    assert head.start_ray()[0] == 0
    (second, _, _) = head.wait_for_calls(2)
    assert (is_alive(first), is_alive(second)) == (False, True)
    assert (head.home / "ray").read_text().split() == ["stop", "start"] * 2


def test_ray_up_again_takes_changed_settings_of_supervisor(head):
    head.start_ray()
    head.change("stopwaitsecs=60", "stopwaitsecs=60\numask=077")
    code, output = head.start_ray()
    assert code == 0
    assert "updated process group" in output


def test_only_the_user_can_enter_the_folder_of_logs_and_socket(head):
    (head.home / ".raysweep").mkdir(mode=0o755)
    head.start_ray()
    head.wait_for_calls(1)
    assert (head.home / ".raysweep").stat().st_mode & 0o777 == 0o700
    assert (head.home / ".raysweep" / "supervisor.sock").stat().st_mode & 0o777 == 0o700


def test_supervisor_does_not_hold_the_terminal_that_started_it(started):
    pid = int(started.ctl("pid")[1])
    assert os.getsid(pid) == pid != os.getsid(0)


def test_logs_of_others_stay(head):
    """Supervisor removes files with such names where it starts, unless it is told not to."""
    log = head.tmp / "other-stdout---supervisor-1234.log"
    log.touch()
    assert head.start_ray()[0] == 0
    assert log.exists()
