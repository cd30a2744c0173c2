"""GitHub's token is asked for one Vault, and nobody else reads it."""

import json
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from scratch import shell


class GithubToken(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file, self.status, self.answer = Path(folder.name, "vault.jwt"), 200, {"value": "signed"}
        test = self

        class Github(BaseHTTPRequestHandler):
            def do_GET(self):
                test.asked = (self.path, self.headers["authorization"])
                self.send_response(test.status)
                self.end_headers()
                self.wfile.write(json.dumps(test.answer).encode())

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Github)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.env = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{server.server_port}/token?of=run", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "asker"}

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
