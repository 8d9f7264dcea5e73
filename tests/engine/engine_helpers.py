"""What several engine tests look at."""

METRICS = ["metric.train_loss", "metric.distance"]


def by_run(results, columns=METRICS):
    """The runs' values by run id."""
    rows = results.runs().to_pylist()
    return {row["run_id"]: [row[name] for name in columns] for row in rows}


def statuses(results):
    """Status by (seed, learning rate)."""
    return {
        (row["seed"], row["param.training.lr"]): row["status"] for row in results.runs().to_pylist()
    }


def files_of(results):
    """Bytes of every result file."""
    files = results.store.files
    return {
        name: files.read(name)
        for folder in ("runs", "curves", "attempts")
        for name in files.names(folder)
    }
