"""Tests of the races' own parts: `make bench-test`, with the Python that has DuckDB."""

import pathlib
import sys
import tempfile
import unittest

import duckdb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "preprocess"))
import agree
import race
from measure import Failed, measure


class Measure(unittest.TestCase):
    def cost(self, code, **more):
        with tempfile.TemporaryDirectory() as folder:
            return measure([sys.executable, "-c", code], f"{folder}/log", [0], **more)

    def test_memory_and_time_of_a_child_count(self):
        child = "import time; x = bytearray(80 << 20); until = time.process_time() + 0.5\nwhile time.process_time() < until: pass"
        # Nobody waits for the child, as nobody waits for the Java that PySpark starts: only sampling sees it.
        cost = self.cost(
            f"import os, subprocess, sys, time; x = bytearray(80 << 20); p = subprocess.Popen([sys.executable, '-c', {child!r}]);"
            " time.sleep(3); os._exit(0)"
        )
        self.assertGreater(cost.peak, 160 << 20)
        self.assertGreater(cost.cpu, 0.4)
        self.assertGreater(cost.wall, 3)

    def test_a_failure_says_what_was_said(self):
        with self.assertRaisesRegex(Failed, "ended with 4(.|\n)*no such file"):
            self.cost("import sys; print('no such file', file=sys.stderr); sys.exit(4)")


class Agree(unittest.TestCase):
    def compare(self, ours, theirs):
        with tempfile.TemporaryDirectory() as folder:
            for name, values in [("ours", ours), ("theirs", theirs)]:
                rows = " union all ".join(
                    f"select '{repository}' as repository, {number} as number, {value}::float as churn" for repository, number, value in values
                )
                duckdb.sql(rows).write_parquet(f"{folder}/{name}.parquet")
            return agree.compare(f"{folder}/ours.parquet", f"{folder}/theirs.parquet")

    def test_equal_rows_agree_in_any_order(self):
        found = self.compare([("a/b", 1, 5), ("a/b", 2, "null")], [("a/b", 2, "null"), ("A/B", 1, 5.000001)])
        self.assertEqual((found["rows"], found["columns"], found["disagree"]), (2, 1, {}))

    def test_another_value_a_missing_value_and_a_missing_row_disagree(self):
        self.assertEqual(self.compare([("a/b", 1, 5)], [("a/b", 1, 5.0001)])["disagree"], {"churn": 1})
        self.assertEqual(self.compare([("a/b", 1, 0)], [("a/b", 1, "null")])["disagree"], {"churn": 1})
        self.assertEqual(list(self.compare([("a/b", 1, 5), ("a/b", 2, 5)], [("a/b", 1, 5)])["disagree"].values()), [1])


class Row(unittest.TestCase):
    def test_a_ratio_is_of_medians_and_a_goal_is_a_bound(self):
        row = race.row("wall time", "s", [3.0, 1.0, 2.0], [4.0, 4.0, 5.0], "peer", at_most=0.5)
        self.assertEqual((row["ours"], row["peer"], row["ratio"], row["holds"]), (2.0, 4.0, 0.5, True))
        self.assertAlmostEqual(row["spread"], 0.5)
        self.assertFalse(race.row("memory", "MiB", [101.0], 100, "limit", at_most=1.0)["holds"])
        self.assertIsNone(race.row("memory", "MiB", [101.0], 100, "limit")["holds"])


if __name__ == "__main__":
    unittest.main()
