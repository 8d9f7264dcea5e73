"""Help of the program: commands by what they are for, in full, and an example of each."""

import click

GROUPS: dict[str, tuple[str, ...]] = {
    "Run": ("init", "run", "plan", "status", "logs", "info", "schema", "check"),
    "Look": ("table", "stats", "top", "diff", "plot", "report", "importance", "sql"),
    "Export": ("export",),
    "Tidy": ("ls", "doctor", "compact", "rm"),
    "Serve": ("serve", "token"),
    "Submit": ("login", "submit", "cancel", "resume", "extend"),
}
EXAMPLES = {
    "init": "raysweep init my_task",
    "run": "raysweep run sweep.yaml --set seeds=10",
    "plan": "raysweep plan sweep.yaml",
    "status": "raysweep status quickstart",
    "logs": "raysweep logs quickstart",
    "info": "raysweep info lr",
    "schema": "raysweep schema > sweep.schema.json",
    "check": "raysweep check polynomial --set p=2",
    "table": "raysweep table quickstart --report test_neg_elbo --format latex",
    "stats": "raysweep stats quickstart",
    "top": "raysweep top quickstart --n 3",
    "diff": "raysweep diff quickstart search",
    "plot": "raysweep plot quickstart --kind heatmap --out heatmap.pdf",
    "report": "raysweep report quickstart",
    "importance": "raysweep importance search",
    "sql": 'raysweep sql quickstart "select estimator, avg(seconds) from runs group by all"',
    "export": "raysweep export quickstart --csv runs.csv",
    "ls": "raysweep ls --store s3://lab/sweeps",
    "doctor": "raysweep doctor quickstart",
    "compact": "raysweep compact quickstart",
    "serve": "raysweep serve --local",
    "token": "raysweep token create ada --role member --days 90",
    "login": "raysweep login --server https://sweeps.example.org",
    "submit": "raysweep submit sweep.yaml --watch",
    "cancel": "raysweep cancel quickstart",
    "resume": "raysweep resume quickstart --retry-failed",
    "extend": "raysweep extend quickstart --seeds 10",
    "rm": 'raysweep rm quickstart --where "seed > 4"',
}


class Commands(click.Group):
    """Group of commands whose help is in sections, without cutting a line."""

    def add(self, command: click.Command) -> None:
        """Add a command with its example."""
        name = command.name or ""
        if name in EXAMPLES:
            command.epilog = f"Example: {EXAMPLES[name]}"
        self.add_command(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands of each section."""
        for title, names in GROUPS.items():
            rows = [
                (name, command.get_short_help_str(limit=1000))
                for name in names
                if (command := self.get_command(ctx, name)) is not None
            ]
            with formatter.section(title):
                formatter.write_dl(rows)
