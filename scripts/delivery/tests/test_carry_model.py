"""A model comes into the store of production as it is in that of staging, or not at all."""

import hashlib
import json
import tempfile
import unittest
from pathlib import Path

from scratch import MODEL, script


class CarryModel(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.staging, self.production = Path(folder.name, "staging"), Path(folder.name, "production")
        self.model = self.staging / "models" / MODEL
        self.model.mkdir(parents=True)
        (self.model / "model.safetensors").write_bytes(b"weights")
        entry = {"path": "model.safetensors", "sha256": hashlib.sha256(b"weights").hexdigest()}
        (self.model / "manifest.json").write_text(json.dumps({"files": [entry]}))

    def carry(self, version=MODEL):
        env = {"STAGING_PROWL_STORE": f"file://{self.staging}", "PRODUCTION_PROWL_STORE": f"file://{self.production}"}
        return script("carry-model", version, env=env)

    def carried(self):
        folder = self.production / "models" / MODEL
        return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}

    def test_it_is_carried_once(self):
        self.assertEqual(self.carry().returncode, 0)
        self.assertEqual(self.carried(), {file.name: file.read_bytes() for file in self.model.iterdir()})
        self.assertIn("has 20261124T214500Z already", self.carry().stdout)

    def test_a_file_that_is_not_what_the_manifest_says_is_refused(self):
        (self.model / "model.safetensors").write_bytes(b"other weights")
        self.assertIn("is not what the manifest says", self.carry().stderr)
        self.assertEqual(self.carried(), {})

    def test_one_that_is_not_there_is_refused(self):
        self.assertIn("there is no model 20260101T000000Z", self.carry("20260101T000000Z").stderr)

    def test_another_of_the_same_name_is_refused(self):
        other = self.production / "models" / MODEL
        other.mkdir(parents=True)
        (other / "manifest.json").write_text("{}")
        self.assertIn("production has another model", self.carry().stderr)


if __name__ == "__main__":
    unittest.main()
