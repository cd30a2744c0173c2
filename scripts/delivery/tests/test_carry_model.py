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

    def carry(self, version=MODEL, *digest, **env):
        env = {"STAGING_PROWL_STORE": f"file://{self.staging}", "PRODUCTION_PROWL_STORE": f"file://{self.production}", **env}
        return script("carry-model", version, *digest, env=env)

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

    def test_a_digest_is_that_of_the_file_of_the_model(self):
        ended = self.carry(MODEL, "1" * 64)
        self.assertEqual(ended.returncode, 1)
        self.assertIn(f"has the digest {hashlib.sha256(b'weights').hexdigest()}, and the release says {'1' * 64}", ended.stderr)
        self.assertEqual(self.carried(), {})
        # Nor is it enough that production has it already.
        self.assertEqual(self.carry(MODEL, hashlib.sha256(b"weights").hexdigest()).returncode, 0)
        self.assertEqual(self.carry(MODEL, "1" * 64).returncode, 1)

    def test_a_store_that_does_not_answer_is_named(self):
        secrets = {f"STAGING_SPACES_{name}": "x" for name in ("REGION", "KEY", "SECRET")}
        ended = self.carry(STAGING_PROWL_STORE="s3://bucket/prowl", STAGING_SPACES_ENDPOINT="http://127.0.0.1:1", **secrets)
        self.assertEqual(ended.returncode, 1)
        self.assertRegex(ended.stderr, r"\Acarry-model: refused: the store at http://127.0.0.1:1 does not answer: .*\n\Z")

    def test_a_folder_that_cannot_be_written_is_named(self):
        self.production.write_text("a file")
        ended = self.carry()
        self.assertEqual(ended.returncode, 1)
        self.assertRegex(ended.stderr, rf"\Acarry-model: .*{self.production}.*\n\Z")

    def test_one_that_is_not_there_is_refused(self):
        self.assertIn("there is no model 20260101T000000Z", self.carry("20260101T000000Z").stderr)

    def test_another_of_the_same_name_is_refused(self):
        other = self.production / "models" / MODEL
        other.mkdir(parents=True)
        (other / "manifest.json").write_text("{}")
        self.assertIn("production has another model", self.carry().stderr)


if __name__ == "__main__":
    unittest.main()
