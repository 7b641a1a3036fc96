"""Run the command line as `python -m rtdemo`."""

from rtdemo.cli.main import main

if __name__ == "__main__":
    main()
