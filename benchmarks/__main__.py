"""`python -m benchmarks [NAME …]`: raysweep beside what a user would run instead."""

from benchmarks.performance import main

main()
