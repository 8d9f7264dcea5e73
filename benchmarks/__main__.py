"""`python -m benchmarks [NAME …]`: the comparison with plain Ray Tune."""

from benchmarks.against_tune import main

main()
