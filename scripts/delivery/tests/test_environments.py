"""What staging and production set is read as YAML reads it, or refused."""

import unittest

from scratch import DELIVERY, environments, release


class Environments(unittest.TestCase):
    def test_the_ones_that_are_here_set_the_rows_of_the_table(self):
        rows = environments.table((DELIVERY.parents[1] / environments.TABLE).read_text())
        self.assertIn("vault.address", rows)
        for name in environments.NAMES:
            text = (DELIVERY.parents[1] / environments.FOLDER / f"{name}.yaml").read_text()
            self.assertEqual(environments.own(name, text).keys(), rows.keys())

    def test_keys_are_those_of_yaml(self):
        text = "# words\na:\n  b: 1  # why\n\n  # words\n  c:\n    d: [x, {y: z}]\ne: 's'\n"
        self.assertEqual(environments.own("staging", text), {"a.b": "1  # why", "a.c.d": "[x, {y: z}]", "e": "'s'"})

    def test_nothing_is_set_unseen(self):
        # Null takes a default away; a scalar of several lines may look as if it had keys.
        for text, found in (("a:\n", "a"), ("a: # words\n", "a"), ("a:\n  b: 1\na:\n", "a"), ("b: {c: 1}\n", "b"), ("a: |\n  b: 1\n", "a")):
            self.assertIn(found, environments.own("staging", text))
        for line in ('"a": 1', "a.b: 1", "? a", "- a", "<<: *x", "{a: 1}", "---", "\ta: 1", "a:\t1", "  text"):
            with self.assertRaisesRegex(release.Refused, "line 2 of helm/environments/staging.yaml"):
                environments.own("staging", f"e: 1\n{line}\n")
        with self.assertRaises(release.Refused):
            environments.own("staging", "e: 1\r- a")


if __name__ == "__main__":
    unittest.main()
