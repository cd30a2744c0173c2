"""What tests and races start is of one version each, so that they share its folder and tell the same of it."""

import re
import sys
import unittest

from scratch import DELIVERY

ROOT = DELIVERY.parents[1]
sys.path.append(str(ROOT / "e2e-kubernetes"))

import tools  # noqa: E402

# "name", "1.0" and "name": "1.0" and "name==1.0"
PIN = re.compile(r'"([a-z-]+)(?:", "|": "|==)([0-9][^"]*)"')


class Tools(unittest.TestCase):
    def test_versions_are_the_same_wherever_they_are_named(self):
        wanted = dict([tools.GO, tools.OPENBAO, tools.SEAWEEDFS, tools.SECANTUSDB, *(need.split("==") for need in tools.MLFLOW_NEEDS)])
        servers = sorted((ROOT / "e2e/src/servers").glob("*.rs"))
        races = [file for file in (ROOT / "bench").rglob("*") if file.is_file() and file.suffix in ("", ".py")]
        pins = [(file, *pin) for file in [*servers, *races] for pin in PIN.findall(file.read_text()) if pin[0] in wanted]
        for file, name, version in pins:
            self.assertEqual(version, wanted[name], f"{name} in {file.relative_to(ROOT)}, against e2e-kubernetes/tools.py")
        self.assertEqual({name for file, name, _ in pins if file in servers}, set(wanted))
        self.assertIn(f'VERSION: &str = "{tools.MLFLOW}"', (ROOT / "e2e/src/servers/mlflow.rs").read_text())


if __name__ == "__main__":
    unittest.main()
