"""Run `python -m rtdemo`."""

from rtdemo.cli import main

if __name__ == "__main__":
    main()
