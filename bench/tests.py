"""Tests of the races' own parts: `make bench-test`, with the Python that has DuckDB."""

import contextlib
import io
import pathlib
import re
import sys
import tempfile
import unittest

import duckdb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "preprocess"))
import agree
import race
import series
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


class Series(unittest.TestCase):
    def test_no_race_keeps_another_from_running(self):
        waits = []
        with tempfile.TemporaryDirectory() as folder:
            code = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch(); sys.exit(int(sys.argv[2]))"
            commands = {name: [sys.executable, "-c", code, f"{folder}/{name}", name] for name in ["1", "3", "0"]}
            self.assertEqual(series.hold(commands, lambda: waits.append(1)), {"1": 1, "3": 3, "0": 0})
            self.assertEqual((len(waits), len(list(pathlib.Path(folder).iterdir()))), (3, 3))

    def test_a_race_that_failed_outweighs_a_goal_that_is_missed(self):
        self.assertEqual([series.verdict(dict(enumerate(codes)), {}) for codes in [(0, 0), (0, 3), (3, 1, 0), (-9, 0)]], [0, 3, 1, 1])

    def test_only_lines_that_are_missed_are_told(self):
        rows = [race.row(name, "s", [2.0], 1, "peer", at_most) for name, at_most in [("wall", 1), ("processor", 3), ("start", None)]]
        with contextlib.redirect_stdout(io.StringIO()) as said:
            series.verdict({"preprocess": 3}, {"preprocess": {"rows": rows}})
        self.assertIn("preprocess, not reached", said.getvalue())
        self.assertEqual([name in said.getvalue() for name in ["wall", "processor", "start"]], [True, False, False])

    def test_a_race_waits_for_an_idle_machine_but_not_for_ever(self):
        loads = iter([2.0, 2.0, 1.0, 0.4])
        self.assertEqual(series.until_idle(lambda: next(loads), lambda _: None), 2 * series.PAUSE)
        self.assertEqual(series.until_idle(lambda: 9.0, lambda _: None), series.PATIENCE)

    def test_all_settings_of_races_belong_to_the_command(self):
        for command in series.races().values():
            text = command[0].read_text()
            asked = re.findall(r'(?:setting|environ\.get)\("(\w+)"', text)
            asked += re.findall(r'"(\w+)": ', "".join(re.findall(r"defaults = .*", text)))
            self.assertTrue(asked)
            self.assertLessEqual(set(asked), set(series.SETTINGS), command[0])


if __name__ == "__main__":
    unittest.main()
