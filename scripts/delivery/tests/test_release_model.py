"""A candidate in the registry becomes a branch and the text of a pull request, once."""

import os
import unittest

from scratch import MODEL, TwoBranches, calls, digest, fake, release, serve, shell

NEWER = "20261130T001500Z"
DIGEST = "5f0c" * 16


class ReleaseModel(TwoBranches):
    def setUp(self):
        super().setUp()
        self.version = {"name": "prowl", "version": "3", "run_id": "f00d", "description": "What it learnt.", "tags": []}
        self.tag(NEWER)

        def registry(path, headers):
            self.authorization = headers["authorization"]
            if self.version is None or not path.endswith("registered-models/alias?name=prowl&alias=candidate"):
                return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}
            return 200, {"model_version": self.version}

        self.secrets = {"MLFLOW_URI": f"http://reader:pass%40word@{serve(self, registry)}"}

    def tag(self, version, model_digest=DIGEST):
        self.version["tags"] = [{"key": "prowl.version", "value": version}, {"key": "prowl.model_digest", "value": model_digest}]

    def judge(self, code, leaves='mkdir -p "$3/rehearsal"\necho "**The verdict.**" >"$3/rehearsal/verdict.md"'):
        """Stands in for the rehearsal: it leaves what that leaves, and ends with a code."""
        file = self.tree.parent / "judge"
        file.write_text(f'#!/bin/sh\necho "$1 $2" >"$3/asked"\n{leaves}\nexit {code}\n')
        file.chmod(0o755)
        return ["--judge", str(file), "--output", str(self.tree.parent / "out")]

    def test_a_candidate_becomes_a_branch_and_a_text(self):
        self.assertIn("go: model/", self.done("release-model", *self.judge(0), env=self.secrets))
        proposed = release.read(self.show(f"model/{NEWER}", release.RELEASE))
        self.assertEqual((proposed["model"], proposed["model_digest"]), (NEWER, DIGEST))
        self.assertEqual(release.read(self.show("staging", release.RELEASE))["model"], MODEL)
        out = self.tree.parent / "out"
        self.assertEqual((out / "asked").read_text(), f"{MODEL} {NEWER}\n")
        text = (out / "pull-request.md").read_text()
        for part in ("| verdict | go |", NEWER, DIGEST, "version 3 of `prowl`", "**The verdict.**", "What it learnt."):
            self.assertIn(part, text)
        self.assertEqual(self.authorization, "Basic cmVhZGVyOnBhc3NAd29yZA==")
        self.assertIn("proposed already", self.done("release-model", *self.judge(0), env=self.secrets))

    def test_no_go_is_told(self):
        self.assertIn("no_go: model/", self.done("release-model", *self.judge(3), env=self.secrets))
        self.assertIn("| verdict | no go |", (self.tree.parent / "out/pull-request.md").read_text())

    def opened(self, gh):
        """What comes of a run that opens the pull request, where gh does this."""
        fakes = self.tree.parent / "fakes"
        fake(fakes, "gh", gh)
        ended = self.script("release-model", *self.judge(0), "--pull-request", env=self.secrets | {"PATH": f"{fakes}:{os.environ['PATH']}"})
        return ended.returncode, ended.stdout + ended.stderr, calls(fakes)[-1]

    def test_a_pull_request_that_could_not_be_opened_is_tried_again(self):
        code, said, _ = self.opened("exit 1")
        self.assertEqual(code, 1)
        self.assertIn("could not open", said)
        code, said, asked = self.opened("")
        self.assertEqual(code, 0, said)
        self.assertIn("go: model/", said)
        self.assertIn(f"--head model/{NEWER} --title Release model {NEWER}", asked)

    def test_a_branch_without_a_pull_request_is_pushed_over(self):
        self.git("push", "--quiet", "origin", f"staging:refs/heads/model/{NEWER}")
        self.push({"left": "by a run that was killed"}, branch=f"model/{NEWER}")
        code, said, asked = self.opened("")
        self.assertEqual(code, 0, said)
        self.assertIn("gh pr create", asked)
        self.assertEqual(release.read(self.show(f"model/{NEWER}", release.RELEASE))["model"], NEWER)
        code, said, _ = self.opened("echo 7")
        self.assertEqual(code, 0, said)
        self.assertIn("proposed already", said)
        self.assertEqual(self.opened("exit 4")[0], 1)

    def test_without_a_verdict_of_its_own_nothing_is_pushed(self):
        earlier = self.tree.parent / "out/rehearsal/verdict.md"
        earlier.parent.mkdir(parents=True)
        earlier.write_text("That of another.")
        for code in 1, 3:
            self.refused("there is no verdict", "release-model", *self.judge(code, leaves=""), env=self.secrets)
        self.assertFalse(self.git("ls-remote", "origin", f"refs/heads/model/{NEWER}"))
        self.assertIn("go: model/", self.done("release-model", *self.judge(0), env=self.secrets))

    def test_what_could_not_be_judged_is_unknown(self):
        self.assertIn("unknown: model/", self.done("release-model", *self.judge(1), env=self.secrets))

    def test_tags_have_their_form_before_anything_is_done(self):
        for tags, because in (((f"{NEWER} --upload-pack", DIGEST), "its tag prowl.version"), ((NEWER, "5f0c"), "'5f0c' as its tag prowl.model_digest")):
            self.tag(*tags)
            self.refused(because, "release-model", *self.judge(0), env=self.secrets)
        self.version["tags"] = []
        self.refused("'' as its tag prowl.version", "release-model", *self.judge(0), env=self.secrets)
        self.assertFalse((self.tree.parent / "out").exists())

    def test_an_older_candidate_is_told_as_such(self):
        self.tag("20260101T000000Z")
        said = self.done("release-model", *self.judge(0), env=self.secrets)
        self.assertIn(f"the candidate 20260101T000000Z is older than {MODEL}, which staging has", said)

    def test_without_something_new_nothing_is_done(self):
        self.tag(MODEL)
        self.assertIn("has 20261124T214500Z already", self.done("release-model", *self.judge(0), env=self.secrets))
        self.version = None
        self.assertIn("no version of prowl is a candidate", self.done("release-model", *self.judge(0), env=self.secrets))

    def test_without_a_registry_it_says_so(self):
        self.refused("the secret mlflow_uri is missing", "release-model", *self.judge(0))

    def test_without_the_file_of_its_token_it_says_so(self):
        env = {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_ROLE": "r", "VAULT_SECRET_PATH": "secret/p", "VAULT_JWT_FILE": "/nowhere/vault.jwt"}
        self.refused("VAULT_JWT_FILE has to name a file that holds a token: ", "release-model", *self.judge(0), env=env)


class JudgeModel(TwoBranches):
    def setUp(self):
        super().setUp()
        self.fakes = self.tree.parent / "fakes"
        self.env |= {"PATH": f"{self.fakes}:{self.env['PATH']}", "PROWL_STORE": "file:///store", "GITHUB_REPOSITORY": "owner/name"}

    def judge(self, current, **env):
        return shell("judge-model", current, NEWER, "out", at=self.tree, env=self.env | env)

    def test_it_plays_the_switch_and_tells_the_verdict(self):
        fake(self.fakes, "prowl-loadtest", "exit 3")
        for current, blue in ((MODEL, MODEL), ("", NEWER)):
            self.assertEqual(self.judge(current, BIN=str(self.fakes)).returncode, 3)
            self.assertEqual(calls(self.fakes)[-1], f"prowl-loadtest rehearse --store file:///store --blue {blue} --green {NEWER} --output out/rehearsal")

    def test_programs_are_those_of_the_release(self):
        fake(self.fakes, "cosign")
        # What it copies out of an image says that it was run.
        program = f'#!/bin/sh\necho run "$1" >>{self.fakes}/calls'
        fake(self.fakes, "podman", f"case $1 in create) echo box ;; cp) echo '{program}' >\"$3${{2##*/}}\"; chmod +x \"$3${{2##*/}}\" ;; esac")
        self.assertEqual(self.judge(MODEL).returncode, 0)
        image = f"registry.test/prowl/loadtest@{digest('a')}"
        said = calls(self.fakes)
        self.assertEqual(said[-1], "run rehearse")
        verified = max(number for number, call in enumerate(said) if call.startswith("cosign verify") and call.endswith(image))
        self.assertLess(verified, said.index(f"podman create --pull=always --quiet {image}"))

    def test_an_image_that_nobody_signed_is_not_run(self):
        fake(self.fakes, "cosign", "exit 1")
        fake(self.fakes, "podman")
        self.assertNotEqual(self.judge(MODEL).returncode, 0)
        self.assertFalse([call for call in calls(self.fakes) if call.startswith("podman")])


if __name__ == "__main__":
    unittest.main()
