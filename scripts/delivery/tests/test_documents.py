"""What the check of the documents reads in them (scripts/documents.py)."""

import sys
import unittest

from scratch import DELIVERY

sys.path.insert(0, str(DELIVERY.parent))

import documents  # noqa: E402

TEXT = """# Prowl: `all`

## One of two

```sh
# a comment
first --flag 'a | b' \\
    --other       # and why

for each in 1 2; do
  second && third
done
```

Not `this --of x`, and no [link](other.md) in it.

```
some output
```

## One of two

```sh
{ last; } |
```
"""
KNOWN = {"prowl": {"": {"--help"}, "score": {"--help", "--json"}}}


class Documents(unittest.TestCase):
    def test_commands_are_whole_and_know_their_section_and_line(self):
        found = documents.commands(TEXT)
        places = [(command.section, command.line) for command in found]
        self.assertEqual(places, [("One of two", at) for at in (7, 10, 24)])
        self.assertEqual(found[0].text, "first --flag 'a | b' \\\n    --other       # and why")
        self.assertEqual(found[1].text.splitlines()[-1], "done")
        # What never becomes whole is left to bash.
        self.assertEqual(found[2].text, "{ last; } |")

    def test_a_line_is_as_many_commands_as_it_runs(self):
        given = "A=1 first 'x; y' --a=b | { second; } # third\nfourth && fifth"
        told = [["first", "x; y", "--a=b"], ["second"], ["}"], ["fourth"], ["fifth"]]
        self.assertEqual(list(documents.simple(given)), told)

    def test_headings_have_the_names_that_github_gives_them(self):
        self.assertEqual(documents.anchors(TEXT), {"prowl-all", "one-of-two", "one-of-two-1"})

    def test_a_flag_is_one_of_its_command(self):
        wrong = lambda text: [what for _, what in documents.flags(text, KNOWN)]  # noqa: E731
        self.assertEqual(wrong("`prowl score --json`, `--json`, `git log --oneline`"), [])
        self.assertEqual(wrong("`prowl --json`"), ["prowl has no --json"])
        self.assertEqual(wrong("`target/release/prowl score - --jsn=1`"), ["prowl score has no --jsn"])
        # In two pieces, since scripts are looked through, and this is one.
        nowhere = "--no-such-" + "flag-anywhere"
        self.assertEqual(wrong(f"`{nowhere}`"), [f"no program here has {nowhere}"])

    def test_what_is_named_has_to_be_there(self):
        places = {"docs", "docs/secrets.md"}
        there = "`docs/secrets.md`, `docs/*.md`, `docs/<any>`, `s3://docs/x`, `a/b`"
        self.assertEqual(list(documents.paths(there, places)), [])
        self.assertEqual(list(documents.paths("`docs/gone.md`", places)), [(1, "there is no docs/gone.md")])
        self.assertEqual(list(documents.targets("`make demo SEED=7`", {"demo"})), [])
        self.assertEqual(list(documents.targets("`make dmo`", {"demo"})), [(1, "make help does not list dmo")])
        at = documents.ROOT / "docs/x.md"
        links = lambda text: [what for _, what in documents.links(at, text, places)]  # noqa: E731
        self.assertEqual(links("[a](secrets.md), [b](https://example.com/gone.md)"), [])
        self.assertEqual(links("[a](gone.md)"), ["there is no gone.md"])
        self.assertEqual(links("[b](secrets.md#gone)"), ["secrets.md has no heading #gone"])


if __name__ == "__main__":
    unittest.main()
