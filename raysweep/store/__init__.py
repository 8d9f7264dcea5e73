"""Where sweeps live: Parquet files, checkpoints and the lease."""
