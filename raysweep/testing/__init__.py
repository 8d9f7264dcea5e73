"""The toy task and cases of estimators: for those who test tasks, estimators and sweeps."""
