"""Results in trackers: TensorBoard, Weights & Biases, MLflow; after a sweep, or while it runs."""
