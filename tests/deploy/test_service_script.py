"""deploy/service.sh: it starts, keeps and stops a service, here a small one in its place."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from deploy_files import ROOT

# Writes down its options; answers as the service does; ends as files in its folder say.
SERVICE = """#!{python}
import http.server, os, pathlib, sys

folder = pathlib.Path({folder!r})
with (folder / "calls").open("a") as file:
    print(os.getpid(), *sys.argv[1:], file=file)
if (folder / "code").exists():
    print("expected a store, got none")
    sys.exit(int((folder / "code").read_text()))


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/v1/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


if "--port" in sys.argv:
    port = int(sys.argv[sys.argv.index("--port") + 1])
else:
    text = pathlib.Path(sys.argv[sys.argv.index("--config") + 1]).read_text()
    port = int(text.split("\\nport: ")[1].split()[0])
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"""


class Installation:
    """A folder with the script, and a small service in the place of raysweep."""

    def __init__(self, folder):
        self.folder = folder
        self.bin = folder / ".venv" / "bin"
        self.bin.mkdir(parents=True)
        (folder / "deploy").mkdir()
        shutil.copy(ROOT / "deploy" / "service.sh", folder / "deploy")
        service = self.bin / "raysweep"
        service.write_text(SERVICE.format(python=sys.executable, folder=str(folder)))
        service.chmod(0o755)
        (self.bin / "python").symlink_to(sys.executable)
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = str(server.getsockname()[1])

    def call(self, *arguments, **changes):
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "RAYSWEEP_SERVICE_PAUSE_S": "0.1",
            **changes,
        }
        done = subprocess.run(
            [str(self.folder / "deploy" / "service.sh"), *arguments],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    def start(self, *arguments, **changes):
        return self.call("start", *arguments, "--port", self.port, **changes)

    def calls(self):
        """The processes of the service so far, with their options."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.partition(" ")[::2] for line in lines]

    def wait_for_calls(self, count):
        deadline = time.monotonic() + 60
        while len(self.calls()) < count:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def installation(tmp_path):
    installation = Installation(tmp_path)
    yield installation
    installation.call("stop")


def is_alive(process):
    return os.path.exists(f"/proc/{process}")


def test_a_service_that_is_started_answers_and_has_its_options(installation):
    code, output = installation.start("--store", "s3://lab/sweeps")
    assert code == 0, output
    assert f"the service answers at http://127.0.0.1:{installation.port}" in output
    ((_, options),) = installation.calls()
    assert options == f"serve --store s3://lab/sweeps --port {installation.port}"


def test_a_service_is_asked_at_the_port_of_its_configuration(installation):
    file = installation.folder / "service.yaml"
    file.write_text(f"store: sweeps\n# port: 1\nport: {installation.port}  # free\nhost: 0.0.0.0\n")
    code, output = installation.call("start", "--config", str(file))
    assert code == 0, output
    assert f"answers at http://127.0.0.1:{installation.port}" in output


def test_a_service_that_is_stopped_has_ended(installation):
    installation.start()
    assert installation.call("stop") == (0, "the service is stopped\n")
    ((process, _),) = installation.calls()
    assert not is_alive(process)
    assert installation.call("status") == (1, "no service runs\n")


def test_a_service_that_dies_is_started_again(installation):
    installation.start()
    ((process, _),) = installation.calls()
    os.kill(int(process), signal.SIGKILL)
    installation.wait_for_calls(2)
    assert installation.call("status")[0] == 0


def test_a_service_that_refuses_its_options_is_not_tried_again(installation):
    (installation.folder / "code").write_text("2")
    code, output = installation.start()
    assert code == 1
    assert "expected a store, got none" in output
    assert "the service did not start" in output
    assert len(installation.calls()) == 1


def test_a_service_that_does_not_answer_is_named_and_still_tried(installation):
    (installation.folder / "code").write_text("1")
    code, output = installation.start(RAYSWEEP_SERVICE_PATIENCE_S="1")
    assert code == 1
    assert f"no answer from http://127.0.0.1:{installation.port} after 1 s" in output
    assert installation.call("status")[0] == 0
    (installation.folder / "code").unlink()
    count = len(installation.calls())
    installation.wait_for_calls(count + 1)


def test_a_second_service_is_refused(installation):
    installation.start()
    code, output = installation.start()
    assert code == 1
    assert "the service runs already" in output


def test_a_service_of_others_at_the_port_is_not_taken_for_this_one(installation):
    (installation.folder / "other").mkdir()
    installation.start()
    code, output = installation.start(RAYSWEEP_SERVICE_DIR=str(installation.folder / "other"))
    assert code == 1
    assert "a service that this script did not start answers at" in output


def test_stop_without_a_service_is_no_error(installation):
    assert installation.call("stop") == (0, "no service runs\n")


def test_a_number_of_a_process_of_before_a_restart_is_not_believed(installation):
    folder = installation.folder / ".raysweep"
    folder.mkdir()
    (folder / "service.pid").write_text(str(os.getpid()))
    assert installation.call("stop") == (0, "no service runs\n")
    assert installation.start()[0] == 0


def test_only_the_user_can_enter_the_folder_of_the_log(installation):
    installation.start()
    assert (installation.folder / ".raysweep").stat().st_mode & 0o777 == 0o700


def test_the_service_does_not_hold_the_terminal_that_started_it(installation):
    installation.start()
    keeper = (installation.folder / ".raysweep" / "service.pid").read_text().strip()
    assert os.getsid(int(keeper)) == int(keeper) != os.getsid(0)


def test_a_missing_installation_is_named_with_its_command(installation):
    (installation.bin / "raysweep").unlink()
    code, output = installation.start()
    assert code == 1
    assert "make install EXTRAS=service" in output


def test_a_wrong_call_shows_the_usage(installation):
    assert installation.call("begin")[0] == 1
    assert "usage:" in installation.call()[1]
