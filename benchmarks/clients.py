"""What a service does under 100 clients at once: what is served, what is refused, and how fast.

The service runs in a process of its own over the store of `benchmarks.service`, without a cluster.
For a minute each client asks for the list, a sweep, its table and a check of a file, one after
another; one request in twenty has a wrong token, one in fifty a body that is too large, and one in
fifty listens to events for two seconds. Anything but an answer that is meant is counted as a
failure.

    python -m benchmarks.clients --store DIR
"""

import asyncio
import contextlib
import json
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import click
import httpx
import numpy as np

from benchmarks.service import serving
from raysweep.service.app import PREFIX

FILE = """\
name: checked
tasks: {a: {task: polynomial, p: 2, latents: 32}}
estimators: {ST: {estimator: straight_through}}
seeds: 3
search: grid
select: {metric: train_loss, mode: min}
"""
READ = ("/sweeps", "/sweeps/sweep-007", "/sweeps/sweep-008/table?format=text", "/me")
MEANT = {200, 401, 413, 429, 503}


@contextlib.contextmanager
def service(store: str) -> Iterator[tuple[str, str, "subprocess.Popen[str]"]]:
    """Serve a store from another process; yields address, token and process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.clients", "--store", store, "--serve"],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    if process.stdout is None or process.stdin is None:
        raise SystemExit("the service has no pipes")
    described = json.loads(process.stdout.readline())
    try:
        yield described["url"], described["token"], process
    finally:
        process.stdin.close()
        process.wait()


def serve(store: str) -> None:
    """Serve until stdin ends."""
    with serving(store) as (service, client):
        service.catalogue.poll()
        token = client.headers["authorization"].split()[1]
        print(json.dumps({"url": str(client.base_url), "token": token}), flush=True)
        sys.stdin.read()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"peak memory of the service: {peak:.2f} GiB", file=sys.stderr)


async def ask(client: httpx.AsyncClient, chance: random.Random, token: str) -> int:
    """Send one request of the mixture, and return its status."""
    headers = {"Authorization": f"Bearer {token}"}
    draw = chance.random()
    if draw < 0.05:
        wrong = {"Authorization": "Bearer raysweep_00000000_wrong"}
        return (await client.get(f"{PREFIX}/sweeps", headers=wrong)).status_code
    if draw < 0.07:
        body = b"a" * (2**20 + 1)
        answer = await client.post(f"{PREFIX}/sweeps/check", content=body, headers=headers)
        return answer.status_code
    if draw < 0.09:
        path = f"{PREFIX}/sweeps/sweep-009/events"
        async with client.stream("GET", path, headers=headers) as stream:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stream.aread(), 2.0)
            return stream.status_code
    if draw < 0.12:
        answer = await client.post(f"{PREFIX}/sweeps/check", content=FILE, headers=headers)
        return answer.status_code
    return (await client.get(PREFIX + chance.choice(READ), headers=headers)).status_code


async def load(url: str, token: str, clients: int, seconds: float) -> None:
    """Send requests from many clients at once, and print what came of them."""
    statuses: Counter[str] = Counter()
    times: list[float] = []
    until = time.monotonic() + seconds

    async def one(number: int) -> None:
        chance = random.Random(number)
        async with httpx.AsyncClient(base_url=url, timeout=120) as client:
            while time.monotonic() < until:
                began = time.perf_counter()
                try:
                    status = await ask(client, chance, token)
                except httpx.HTTPError as error:
                    statuses[type(error).__name__] += 1
                    continue
                statuses[str(status)] += 1
                if status == 200:
                    times.append(time.perf_counter() - began)

    began = time.monotonic()
    await asyncio.gather(*(one(number) for number in range(clients)))
    took = time.monotonic() - began
    failures = {name: count for name, count in statuses.items() if name not in map(str, MEANT)}
    parts = np.percentile(times, [50, 95, 99, 100]) if times else [float("nan")] * 4
    print(f"{clients} clients, {took:.0f} s, {sum(statuses.values()) / took:.0f} requests/s")
    print(f"answers: {dict(sorted(statuses.items()))}; failures: {failures or 'none'}")
    print(
        "seconds of served ones: "
        + ", ".join(
            f"{name} {value:.2f}"
            for name, value in zip(("median", "95 %", "99 %", "largest"), parts, strict=True)
        )
    )


@click.command()
@click.option("--store", required=True, metavar="DIR", help="Made by benchmarks.service.")
@click.option("--clients", default=100, show_default=True)
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--serve", "is_server", is_flag=True, hidden=True)
def main(store: str, clients: int, seconds: float, is_server: bool) -> None:
    """Print what a service does under many clients."""
    if is_server:
        serve(store)
        return
    with service(store) as (url, token, process):
        asyncio.run(load(url, token, clients, seconds))
        healthy = httpx.get(f"{url}{PREFIX}/health", timeout=30).json()
        print(f"afterwards: {healthy['status']}, process {process.poll() or 'runs'}")


if __name__ == "__main__":
    main()
