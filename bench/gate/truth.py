"""How long calls to a server that stalls really take: `loadtest/examples/bench_stall.rs`, the last second of each ten."""

PERIOD = 10.0
STALL = 1.0


def waiting(longer, first, last):
    """Share of the moments between two, in seconds since the server began, at which what becomes due waits longer than that."""
    period, share = int(first // PERIOD), 0.0
    while period * PERIOD < last:
        end = (period + 1) * PERIOD
        share += max(0.0, min(last, end - longer) - max(first, end - STALL))
        period += 1
    return share / (last - first)


def quantile(q, first, last, service):
    """What so many of the calls that are due between two moments take at most, in seconds, if each moment is as likely."""
    low, high = 0.0, STALL
    if waiting(low, first, last) <= 1 - q:
        return service
    while high - low > 1e-9:
        middle = (low + high) / 2
        if waiting(middle, first, last) > 1 - q:
            low = middle
        else:
            high = middle
    return high + service


def over_whole_periods(q, service):
    """The same in closed form: a share of 0.1 (1 - x) waits longer than x seconds."""
    return max(0.0, STALL - (1 - q) * PERIOD) + service
