"""The one command-line program; it loads the packages' sub-commands and holds nothing else."""

__version__ = "0.1.0"
