"""What the parts with tables have in common: they make them, and later judge the scores beside them."""

import argparse
import pathlib
import warnings


def main(make, judge):
    """Does what the command line asks: `make(folder, seeds)` with `--make SEEDS`, else `judge(folder)`."""
    warnings.filterwarnings("ignore")
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--make", type=int, metavar="SEEDS")
    chosen = arguments.parse_args()
    if chosen.make:
        make(chosen.folder, chosen.make)
    else:
        judge(chosen.folder)
