"""Tasks from the functions of one run, whose runs are stacked by `torch.func`.

`definition` reads the functions' settings, `data` holds the examples, `noise` hands out random
numbers, `build` makes the modules, `call` maps the loss over runs, `probe` refuses before step 1
what cannot be stacked (`mistakes` says why), `model` trains, and `task` is the decorator.
"""

from raysweep.tasks.stacked.noise import NO_NOISE as NO_NOISE
from raysweep.tasks.stacked.noise import RunNoise as RunNoise
