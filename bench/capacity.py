"""The capacity of an open loop: the highest rate of calls that is carried."""

import math

from measure import Failed

LATE = 50
"""Milliseconds within which 99 of 100 calls have to be answered, from the moment at which each was due, for a rate to be carried: a
generator or a server that is one per cent too slow is so late after five seconds."""
STEP, CLOSE, LEAST = 1.25, 1.03, 500
"""From one rate to the next, how far apart the last two may lie, and where the search gives up."""


def highest(once, rate, tries=3):
    """The highest rate that is carried in one of so many tries, sought from this one. More than one try tells what a side can do where
    it is let: what the machine does to others takes it from all of them for a moment."""
    carries = lambda rate: any(once(rate) for _ in range(tries))
    if carries(rate):
        while carries(rate * STEP):
            rate *= STEP
    else:
        rate /= STEP
        while not carries(rate):
            rate /= STEP
            if rate < LEAST:
                raise Failed(f"not even {LEAST} calls a second are carried")
    low, high = rate, rate * STEP
    while high / low > CLOSE:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if carries(middle) else (low, middle)
    return low
