"""The training of one run by a function, step by step."""

import random

import numpy as np
import pytest
import torch
from function_helpers import finish, saved
from torch import nn

BOTH = {"train_loss": "min", "accuracy": "max"}


def counting(run, *, steps: int = 4):
    for step in run.steps(steps):
        run.report(train_loss=10 - step)


def test_a_turn_of_the_loop_is_a_step(start):
    training = start(counting)
    assert (training.step, training.length()) == (0, 4)
    assert training.advance(1)["train_loss"].tolist() == [10]
    assert training.advance(2)["train_loss"].tolist() == [8.5]
    assert training.step == 3


def test_the_final_value_of_a_metric_is_its_last_report(start):
    assert finish(start(counting)) == ([10, 9, 8, 7], {"train_loss": 7})


def test_the_final_value_averages_over_the_window(start):
    assert finish(start(counting, window=3))[1] == {"train_loss": 8}


def test_several_reports_of_a_step_are_averaged(start):
    def twice(run):
        for _ in run.steps(2):
            run.report(train_loss=1)
            run.report(train_loss=2.0)

    assert finish(start(twice)) == ([1.5, 1.5], {"train_loss": 1.5})


def test_a_metric_need_not_be_reported_in_every_step(start):
    def seldom(run):
        for step in run.steps(4):
            if step % 3 == 0:
                run.report(train_loss=step)

    assert finish(start(seldom)) == ([0, 3], {"train_loss": 3})


def test_what_the_function_returns_is_final(start):
    def both(run):
        for _ in run.steps(2):
            run.report(train_loss=1, accuracy=0.1)
        return {"accuracy": np.float32(0.5)}

    assert finish(start(both, BOTH))[1] == {"train_loss": 1, "accuracy": 0.5}


def test_a_metric_can_be_reported_after_the_loop(start):
    def later(run):
        for _ in run.steps(2):
            run.report(train_loss=1)
        run.report(accuracy=torch.tensor([0.25]))

    assert finish(start(later, BOTH))[1] == {"train_loss": 1, "accuracy": 0.25}


def test_a_run_that_leaves_its_loop_ends_there(start):
    def impatient(run):
        for step in run.steps(10):
            run.report(train_loss=step)
            if step == 2:
                break

    training = start(impatient)
    assert finish(training) == ([0, 1, 2], {"train_loss": 2})
    assert (training.step, training.length()) == (3, 3)


def test_a_function_without_a_loop_is_one_step(start):
    def at_once(run):
        return {"train_loss": 3}

    training = start(at_once)
    assert training.length() == 1
    assert finish(training) == ([], {"train_loss": 3})


def test_the_file_can_limit_the_steps_of_a_function_without_such_a_setting(start):
    def epochs(run, *, epochs: int = 10):
        for epoch in run.steps(epochs):
            run.report(train_loss=epoch)

    training = start(epochs, steps=3)
    assert len(finish(training)[0]) == 3


def test_the_steps_know_their_number(start):
    def counted(run):
        loop = run.steps(3)
        for _ in loop:
            run.report(train_loss=len(loop))

    assert finish(start(counted))[1] == {"train_loss": 3}


def test_the_run_has_seed_settings_device_and_data_folder(start, tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path))
    seen = {}

    def look(run, *, lr: float = 0.5):
        seen.update(vars(run))
        return {"train_loss": lr}

    finish(start(look, seed=3))
    assert (seen["seed"], seen["settings"], seen["run_id"]) == (3, {"lr": 0.5}, "id")
    assert (seen["device"].type, seen["data"]) == ("cpu", tmp_path)


def noisy(run, *, steps: int = 6):
    """A network with dropout, shuffled data, a scheduler and all three generators."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps + 1)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    run.track(model=model, optimizer=optimizer, scheduler=scheduler, scaler=scaler)
    x = torch.randn(64, 4)
    for _ in run.steps(steps):
        order = torch.randperm(64)[:8]
        loss = (model(x[order]) - random.random() - np.random.rand()).square().mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        run.report(train_loss=loss)


@pytest.mark.parametrize("at", range(7))
def test_a_run_goes_on_bit_for_bit_from_any_step(start, at):
    through = start(noisy, seed=5)
    losses, final = finish(through)
    through.close()
    first = start(noisy, seed=5)
    for _ in range(at):
        first.advance(1)
    state = saved(first)
    first.close()
    rest, same = finish(start(noisy, seed=5, state=state))
    assert (losses[at:], final) == (rest, same)


def test_a_checkpoint_before_the_first_new_step_is_the_same(start):
    training = start(noisy, seed=5)
    training.advance(1)
    state = saved(training)
    training.close()
    again = start(noisy, seed=5, state=state)
    assert str(saved(again)) == str(state)


def test_the_seed_decides_all_generators(start):
    runs = {}
    for seed in (0, 0, 1):
        training = start(noisy, seed=seed)
        runs.setdefault(seed, []).append(finish(training))
        training.close()
    assert runs[0][0] == runs[0][1] != runs[1][0]


def test_two_runs_in_one_process_do_not_share_generators(start):
    alone = start(noisy, seed=1)
    expected = finish(alone)
    alone.close()
    one, other = start(noisy, seed=1), start(noisy, seed=2)
    losses = []
    for _ in range(6):
        losses.append(one.advance(1)["train_loss"].item())
        other.advance(1)
    assert losses == expected[0]


def test_the_process_gets_its_generators_back(start):
    torch.manual_seed(7), random.seed(7), np.random.seed(7)
    expected = torch.rand(1), random.random(), np.random.rand()
    torch.manual_seed(7), random.seed(7), np.random.seed(7)
    training = start(noisy)
    training.advance(2)
    training.close()
    assert (torch.rand(1), random.random(), np.random.rand()) == expected


def test_a_closed_run_runs_its_finally_blocks(start):
    ended = []

    def careful(run):
        try:
            for _ in run.steps(5):
                run.report(train_loss=1)
        except Exception:  # noqa: BLE001 - as careless users write
            ended.append("not this")
        finally:
            ended.append("finally")

    training = start(careful)
    training.advance(2)
    training.close()
    assert ended == ["finally"]


def test_an_error_of_the_function_is_raised(start):
    def broken(run):
        for step in run.steps(3):
            run.report(train_loss=1 / (1 - step))

    training = start(broken)
    training.advance(1)
    with pytest.raises(ZeroDivisionError) as caught:
        training.advance(1)
    assert caught.traceback[-1].name == "broken"


class Table:
    """An object of the user with a state of arrays and numbers."""

    def __init__(self):
        self.values = np.zeros(3)

    def state_dict(self):
        return {"values": self.values, "largest": np.float64(self.values.max()), "kinds": ("a", 1)}

    def load_state_dict(self, state):
        assert isinstance(state["values"], np.ndarray)
        assert state["kinds"] == ("a", 1)
        self.values = state["values"].copy()


def test_objects_with_states_of_arrays_are_tracked(start):
    def tabled(run):
        table = Table()
        run.track(table=table)
        for step in run.steps(4):
            table.values[step % 3] += step + 1
            run.report(train_loss=table.values.sum())

    first = start(tabled)
    first.advance(2)
    state = saved(first)
    assert finish(start(tabled, state=state))[0] == [6, 10]


def test_the_default_dtype_is_set_back(start):
    def double(run):
        torch.set_default_dtype(torch.float64)
        for _ in run.steps(2):
            run.report(train_loss=torch.zeros(()))

    training = start(double)
    training.advance(1)
    training.close()
    assert torch.get_default_dtype() == torch.float32


def test_a_function_that_tracks_nothing_has_no_state(start):
    assert start(counting).state_dict() is None


def test_the_number_of_steps_may_be_one_of_numpy(start):
    def of_numpy(run):
        for _ in run.steps(np.int64(3)):
            run.report(train_loss=1)

    training = start(of_numpy)
    assert type(training.length()) is int
    assert training.length() == 3
