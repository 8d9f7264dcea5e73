"""Files of sweeps: Parquet tables, checkpoints and the lease."""
