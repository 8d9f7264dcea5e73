"""What a training step costs with each estimator, relative to straight-through.

Two programmes of Liu et al. (2023), arXiv:2304.08612, table 3: the quadratic programme with 128
binary variables and 512 samples, and the VAE of MNIST with 30 variables of 10 categories, batches
of 100. A step is the task's own: estimate, gradients, update; one run, not a pack. Times are
medians of ratios to straight-through, which is timed in turn; on one processor, they are the
process's own, which other programs do not slow. Memory is the peak that five steps allocate beyond
what was held before them.
"""

import gc
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import machine
from raysweep import estimators, tasks
from raysweep.tasks.base import Replica, Training

PROGRAMMES: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "quadratic": ("polynomial", {"latents": 128, "batch_size": 512}, 128, 2),
    "mnist": (
        "categorical_vae",
        {"dataset": "mnist", "categories": 10, "latents": 30, "batch_size": 100},
        30,
        10,
    ),
}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "ReinMax": ("reinmax", {"temperature": 1.1}),
    "STGS": ("st_gumbel_softmax", {}),
    "GST-1.0": ("gapped_st", {}),
    "GST-p": ("gapped_st", {"gap": "expected"}),
    "GR-MCK 100": ("gumbel_rao", {"samples": 100}),
    "GR-MCK 300": ("gumbel_rao", {"samples": 300}),
    "GR-MCK 1000": ("gumbel_rao", {"samples": 1000}),
    "Gumbel-softmax": ("gumbel_softmax", {}),
    "REINFORCE": ("reinforce", {}),
    "RLOO 2": ("reinforce_loo", {"samples": 2}),
    "NVIL": ("nvil", {}),
    "SimpleMuProp": ("muprop", {"linear": False}),
    "MuProp": ("muprop", {}),
    "REBAR": ("rebar", {}),
    "REBAR, fixed": ("rebar", {"learn_temperature": False, "learn_eta": False}),
    "RELAX": ("relax", {}),
    "ARM": ("arm", {}),
    "DisARM": ("disarm", {}),
    "DisARM-SB": ("disarm_sb", {}),
    "DisARM-IW": ("disarm_iw", {}),
    "DisARM-Tree": ("disarm_tree", {}),
    "ARMS 4": ("arms", {"samples": 4}),
    "ARS": ("ars", {}),
    "ARS+": ("ars_plus", {}),
    "ARSM": ("arsm", {}),
    "ARSM+": ("arsm_plus", {}),
    "Double CV 2": ("double_cv", {}),
    "RODEO 2": ("rodeo", {}),
    "LEG": ("local_expectation", {}),
}
# Seconds per epoch and peak megabytes of table 3; straight-through is the row they are divided by.
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "quadratic": {
        "ST": (0.2, 5.0),
        "ReinMax": (0.2, 6.5),
        "STGS": (0.2, 5.5),
        "GST-1.0": (0.2, 8.0),
        "GR-MCK 100": (0.8, 300),
        "GR-MCK 300": (2.2, 1000),
        "GR-MCK 1000": (6.6, 3000),
    },
    "mnist": {
        "ST": (5.2, 13),
        "ReinMax": (5.2, 13),
        "STGS": (5.2, 13),
        "GST-1.0": (5.2, 13),
        "GR-MCK 100": (5.2, 76),
        "GR-MCK 300": (5.2, 200),
        "GR-MCK 1000": (5.4, 600),
    },
}


def training(programme: str, method: str, settings: dict[str, Any], device: str) -> Training:
    """One run of a programme, a few steps old."""
    name, own, _, _ = PROGRAMMES[programme]
    task = tasks.get(name)
    estimator = estimators.get(method, **settings)
    replicas = [Replica("run", 0, {})]
    started = task.start(task.settings(**own), replicas, estimator, torch.device(device))
    started.advance(3)
    return started


def step_seconds(run: Training, steps: int, device: str) -> float:
    """Seconds per step."""
    began = clock(device)
    run.advance(steps)
    return (clock(device) - began) / steps


def clock(device: str) -> float:
    """Seconds on a clock: of the CPU, which other programs do not slow, or once the GPU is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def peak_bytes(step: Callable[[], object], device: str) -> int:
    """The most that it has allocated at any moment, beyond what was there before."""
    gc.collect()
    if device != "cpu":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        step()
    events = [
        event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"
    ]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(changes), default=0)


@contextmanager
def single_thread() -> Iterator[None]:
    """One processor: small steps gain nothing by more, and times are steadier."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def compare(
    plain: Training, other: Training, rounds: int, budget_s: float, device: str, least: int = 4
) -> tuple[float, float, int, int]:
    """Seconds of a step of the first, the median ratio of the second to it, the peaks of both."""
    # at the same step, so that both draw a new block of noise or neither does
    peaks = [peak_bytes(lambda run=run: run.advance(5), device) for run in (plain, other)]
    pairs = []
    for _ in range(rounds):
        seconds = []
        for run in (plain, other):
            one = step_seconds(run, min(least, 2), device)
            steps = max(least, min(200, int(budget_s / one)))
            seconds.append(step_seconds(run, steps, device))
        pairs.append(seconds)
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    return statistics.median(ours for ours, _ in pairs), ratio, peaks[0], peaks[1]


def measure(
    programme: str, method: tuple[str, dict[str, Any]], rounds: int, budget_s: float, device: str
) -> tuple[float, float, int, int]:
    """Seconds of straight-through, the median ratio to it, and the peaks of both."""
    plain = training(programme, "straight_through", {}, device)
    return compare(plain, training(programme, *method, device), rounds, budget_s, device)


def published(programme: str, label: str) -> str:
    """The paper's ratios to straight-through, if it has the method."""
    row, base = PUBLISHED[programme].get(label), PUBLISHED[programme]["ST"]
    if row is None:
        return f"{'':>8s} {'':>8s}"
    return f"{row[0] / base[0]:7.2f}× {row[1] / base[1]:7.1f}×"


def show(programme: str, labels: list[str], rounds: int, budget_s: float, device: str) -> None:
    """A programme's table, a line for every method that takes it."""
    _, _, latents, categories = PROGRAMMES[programme]
    click.echo(f"\n{programme}: {PROGRAMMES[programme][1]}")
    click.echo(f"{'':16s} {'time':>8s} {'peak':>10s} {'peak':>8s}   table 3: time, peak")
    for label in labels:
        name, settings = METHODS[label]
        if (reason := estimators.get(name, **settings).check(latents, categories)) is not None:
            click.echo(f"{label:16s} {reason}")
            continue
        base_s, ratio, base_bytes, peak = measure(
            programme, (name, settings), rounds, budget_s, device
        )
        line = f"{ratio:7.2f}× {peak / 1e6:7.1f} MB {peak / base_bytes:7.2f}×"
        click.echo(f"{label:16s} {line}   {published(programme, label)}")
    click.echo(f"{'ST':16s} {1e3 * base_s:5.2f} ms {base_bytes / 1e6:7.1f} MB")


Show = Callable[[str, list[str], int, float, str], None]


def command(
    argument: str, known: Mapping[str, Any], methods: Mapping[str, Any], show: Show, text: str
) -> click.Command:
    """A command that shows the tables of the problems that its argument names, or of all.

    Args:
        argument: Name of the argument.
        known: Problems by name.
        methods: Methods by label.
        show: Function that prints the table of a problem.
        text: Help of the command.
    """

    @click.command(help=text)
    @click.argument(
        "names", metavar=f"[{argument.upper()}]...", nargs=-1, type=click.Choice(list(known))
    )
    @click.option("--method", "labels", multiple=True, type=click.Choice(list(methods)))
    @click.option("--data", "folder", type=click.Path(path_type=Path), help="As for raysweep run.")
    @click.option("--device", default="cpu", show_default=True, help="cpu, or cuda.")
    @click.option("--rounds", default=7, show_default=True, help="Alternating pairs per method.")
    @click.option("--budget", default=0.3, show_default=True, help="Seconds per side of a pair.")
    def main(
        names: tuple[str, ...],
        labels: tuple[str, ...],
        folder: Path | None,
        device: str,
        rounds: int,
        budget: float,
    ) -> None:
        click.echo(machine.description())
        if folder is not None:
            os.environ["RAYSWEEP_DATA"] = str(folder)
        with single_thread():
            for name in names or known:
                show(name, list(labels or methods), rounds, budget, device)

    return main


main = command(
    "programme",
    PROGRAMMES,
    METHODS,
    show,
    "Times the programmes named, or both, with every estimator beside straight-through.",
)


if __name__ == "__main__":
    main()
