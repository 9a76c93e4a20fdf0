"""Lets `python -m punie` do what the `punie` script does; holds no logic."""

from punie.cli.main import main

if __name__ == "__main__":
    main()
