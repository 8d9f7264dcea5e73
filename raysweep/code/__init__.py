"""Code of the user: tasks in files, scripts and notebooks, for this process and for workers.

`files` loads tasks from paths, `objects` takes those of Python code; both make a `Code`, whose
`modules` workers get by Ray's runtime environments and then load by `workers`.
"""
