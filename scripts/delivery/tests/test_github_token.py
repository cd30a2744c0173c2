"""GitHub's token is asked for one Vault, and nobody else reads it."""

import tempfile
import unittest
from pathlib import Path

from scratch import serve, shell


class GithubToken(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file, self.status, self.answer = Path(folder.name, "vault.jwt"), 200, {"value": "signed"}

        def github(path, headers):
            self.asked = (path, headers["authorization"])
            return self.status, self.answer

        self.env = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"http://{serve(self, github)}/token?of=run", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "asker"}

    def ask(self):
        return shell("github-token", "vault-staging", str(self.file), env=self.env)

    def test_it_is_for_the_audience_and_for_this_user(self):
        self.assertEqual(self.ask().returncode, 0)
        self.assertEqual(self.asked, ("/token?of=run&audience=vault-staging", "bearer asker"))
        self.assertEqual(self.file.read_text(), "signed\n")
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_no_token_is_a_failure(self):
        self.answer = {}
        self.assertNotEqual(self.ask().returncode, 0)
        self.status = 403
        self.assertNotEqual(self.ask().returncode, 0)


if __name__ == "__main__":
    unittest.main()
