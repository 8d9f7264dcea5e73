"""Plain functions as tasks: `@task` makes a task of a function that trains one run.

`signature` reads its settings, `run` is the object that it gets, `training` lets it train step by
step, in a thread (`turns`), with generators (`generators`) and a state (`states`) of its own.
"""
