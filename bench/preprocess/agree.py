"""Whether a peer computed the same features as we did: `compare(ours, theirs)` over two folders or files of Parquet."""

import pathlib

import duckdb

TOLERANCE = 1e-6
"""Of |ours - theirs|, against 1 or what is larger of both. Both sides write 32-bit floats, whose last digit is 6e-8."""


def scan(path):
    path = pathlib.Path(path)
    return f"read_parquet('{path}/part-*.parquet')" if path.is_dir() else f"read_parquet('{path}')"


def compare(ours, theirs):
    """`{"rows", "columns", "worst", "worst_column", "disagree": {column: rows}}`; `disagree` is empty where all is well.

    A value that one side does not know (null) and the other does is a disagreement of infinite size, as is a row that
    only one side has.
    """
    con = duckdb.connect()
    con.execute("set enable_progress_bar = false")
    names = lambda side: [row[0] for row in con.execute(f"describe select * from {scan(side)}").fetchall()]
    mine = set(names(ours))
    keys = {"repository", "number", "created_at", "merged_at"}
    shared = [name for name in names(theirs) if name not in keys]
    if missing := [name for name in shared if name not in mine]:
        raise SystemExit(f"{theirs} has columns that ours lacks: {', '.join(missing)}")
    con.execute(
        f"create temp table pair as select a, b from {scan(ours)} a full join {scan(theirs)} b"
        " on lower(a.repository) = lower(b.repository) and a.number = b.number"
    )
    rows, unmatched = con.execute("select count(*), count(*) filter (a.number is null or b.number is null) from pair").fetchone()
    error = lambda name: (
        f"max(case when a.{name} is null and b.{name} is null then 0 when a.{name} is null or b.{name} is null then 'inf'::double"
        f" else abs(a.{name}::double - b.{name}) / greatest(1, abs(a.{name}), abs(b.{name})) end)"
    )
    far = lambda name: (
        f"count(*) filter ((a.{name} is null) <> (b.{name} is null)"
        f" or abs(a.{name}::double - b.{name}) > {TOLERANCE} * greatest(1, abs(a.{name}), abs(b.{name})))"
    )
    matched = "from pair where a.number is not null and b.number is not null"
    errors = dict(zip(shared, con.execute(f"select {', '.join(map(error, shared))} {matched}").fetchone()))
    counts = dict(zip(shared, con.execute(f"select {', '.join(map(far, shared))} {matched}").fetchone()))
    worst = max(errors, key=lambda name: errors[name] or 0)
    disagree = {name: count for name, count in counts.items() if count}
    if unmatched:
        disagree["(rows that one side lacks)"] = unmatched
    return {"rows": rows, "columns": len(shared), "worst": errors[worst], "worst_column": worst, "disagree": disagree}


if __name__ == "__main__":
    import sys

    print(compare(*sys.argv[1:]))
