"""What every script here begins and ends with: arrays in, arrays out, nothing pickled."""

import sys

import numpy as np


def answer(function):
    """Call ``function(**arrays)`` with the arrays of argv[1]; save its dict to argv[2]."""
    with np.load(sys.argv[1]) as given:
        found = function(**dict(given))
    np.savez(sys.argv[2], **found)
