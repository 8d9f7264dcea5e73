"""Run the program as `python -m raysweep`."""

from raysweep.cli.main import main

if __name__ == "__main__":
    main()
