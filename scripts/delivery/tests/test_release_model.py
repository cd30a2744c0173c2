"""A candidate in the registry becomes a branch and the text of a pull request, once."""

import json
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer

from scratch import MODEL, TwoBranches, release

NEWER = "20261130T001500Z"


class ReleaseModel(TwoBranches):
    def setUp(self):
        super().setUp()
        self.version = {"name": "prowl", "version": "3", "run_id": "f00d", "description": "What it learnt.", "tags": []}
        self.tag(NEWER)
        test = self

        class Registry(BaseHTTPRequestHandler):
            def do_GET(self):
                found = test.version is not None and self.path.endswith("registered-models/alias?name=prowl&alias=candidate")
                answer = {"model_version": test.version} if found else {"error_code": "RESOURCE_DOES_NOT_EXIST"}
                test.authorization = self.headers["authorization"]
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Registry)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.secrets = {"MLFLOW_URI": f"http://reader:pass%40word@127.0.0.1:{server.server_port}"}

    def tag(self, version):
        self.version["tags"] = [{"key": "prowl.version", "value": version}, {"key": "prowl.model_digest", "value": "5f0c"}]

    def judge(self, code):
        """Stands in for the rehearsal: it leaves what that leaves, and ends with a code."""
        file = self.tree.parent / "judge"
        file.write_text(f'#!/bin/sh\necho "$1 $2" >"$3/asked"\nmkdir -p "$3/rehearsal"\necho "**The verdict.**" >"$3/rehearsal/verdict.md"\nexit {code}\n')
        file.chmod(0o755)
        return ["--judge", str(file), "--output", str(self.tree.parent / "out")]

    def test_a_candidate_becomes_a_branch_and_a_text(self):
        self.assertIn("go: model/", self.done("release-model", *self.judge(0), env=self.secrets))
        self.assertEqual(release.read(self.show(f"model/{NEWER}", release.RELEASE))["model"], NEWER)
        self.assertEqual(release.read(self.show("staging", release.RELEASE))["model"], MODEL)
        out = self.tree.parent / "out"
        self.assertEqual((out / "asked").read_text(), f"{MODEL} {NEWER}\n")
        text = (out / "pull-request.md").read_text()
        for part in ("| verdict | go |", NEWER, "5f0c", "version 3 of `prowl`", "**The verdict.**", "What it learnt."):
            self.assertIn(part, text)
        self.assertEqual(self.authorization, "Basic cmVhZGVyOnBhc3NAd29yZA==")
        self.assertIn("proposed already", self.done("release-model", *self.judge(0), env=self.secrets))

    def test_no_go_is_told(self):
        self.assertIn("no_go: model/", self.done("release-model", *self.judge(3), env=self.secrets))
        self.assertIn("| verdict | no go |", (self.tree.parent / "out/pull-request.md").read_text())

    def test_what_could_not_be_judged_is_unknown(self):
        self.assertIn("unknown: model/", self.done("release-model", *self.judge(1), env=self.secrets))

    def test_without_something_new_nothing_is_done(self):
        self.tag(MODEL)
        self.assertIn("has 20261124T214500Z already", self.done("release-model", *self.judge(0), env=self.secrets))
        self.version = None
        self.assertIn("no version of prowl is a candidate", self.done("release-model", *self.judge(0), env=self.secrets))

    def test_without_a_registry_it_says_so(self):
        self.refused("the secret mlflow_uri is missing", "release-model", *self.judge(0))


if __name__ == "__main__":
    unittest.main()
