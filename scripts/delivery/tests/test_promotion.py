"""Staging and production as two branches: what is tested is promoted, as it was tested, and nothing else."""

import json
import subprocess
import sys
import unittest

from scratch import DELIVERY, MODEL, RELEASE, TABLE, TwoBranches, digest, environments, release, stages

PRODUCTION = "helm/environments/production.yaml"


class Promotion(TwoBranches):
    def release_to_staging(self, character="b", model=None):
        """What the pipeline does with a new image, and the cluster with its release."""
        arguments = [f"inference={digest(character)}", *(["--model", model] if model else [])]
        self.done("set-digest", "--branch", "staging", *arguments)
        self.done("record-tested", "--revision", self.at("staging"), "--verdict", "go")

    def revert_promotion(self):
        """What a maintainer proposes to go back, on the branch back."""
        self.git("fetch", "--quiet", "origin")
        self.git("checkout", "--quiet", "-B", "back", "origin/main")
        self.git("revert", "--no-edit", "-m", "1", "HEAD")
        self.git("push", "--quiet", "origin", "back")

    def promote(self, *arguments):
        return ["promote", "--verify", "true", "--carry", "true", *arguments]

    def test_what_was_tested_is_promoted_digest_by_digest(self):
        self.release_to_staging(model="20261130T001500Z")
        self.done(*self.promote("--check"))
        self.assertNotIn(digest("b"), self.show("main", release.RELEASE))
        self.done(*self.promote())
        self.assertEqual(self.show("main", release.RELEASE), self.show("staging", release.RELEASE))
        promoted = release.read(self.show("main", release.RELEASE))
        self.assertEqual((promoted["digests"]["inference"], promoted["model"]), (digest("b"), "20261130T001500Z"))
        self.assertIn("has it already", self.done(*self.promote()))

    def test_comments_stay(self):
        self.release_to_staging()
        self.assertIn(f'  inference: "{digest("b")}"  # of inference\n', self.show("staging", release.RELEASE) + "\n")

    def test_a_tampered_digest_is_refused(self):
        self.release_to_staging()
        self.push({release.RELEASE: self.show("staging", release.RELEASE).replace(digest("b"), digest("c"))})
        self.refused(f"inference at {digest('c')} was never healthy in staging", *self.promote())

    def test_so_is_one_that_was_tampered_with_in_the_record_as_well(self):
        self.release_to_staging()
        tampered = {path: self.show("staging", path).replace(digest("b"), digest("c")) for path in (release.RELEASE, release.TESTED)}
        self.push(tampered)
        # The commit of the record has other digests.
        self.refused("changed since it was tested in staging", *self.promote())
        revision = self.at("staging")
        tested = json.loads(tampered[release.TESTED])
        tested["releases"][0]["revision"] = revision
        self.push({release.TESTED: json.dumps(tested)})
        # Whoever forges all of it has no image that the pipeline signed.
        self.refused("is not signed by the pipeline of staging", "promote", "--verify", f"sh -c 'case $1 in *{'c' * 64}) exit 1 ;; esac' -")

    def test_a_model_that_was_not_tested_is_refused(self):
        self.release_to_staging()
        self.done("set-digest", "--branch", "staging", "--model", "20261130T001500Z")
        self.refused("model 20261130T001500Z was never healthy in staging", *self.promote())

    def test_parts_that_were_not_tested_together_are_refused(self):
        self.release_to_staging("b", "20261130T001500Z")
        self.release_to_staging("c", "20261130T001500Z")
        self.done("set-digest", "--branch", "staging", f"inference={digest('b')}", "--model", MODEL)
        self.done("record-tested", "--revision", self.at("staging"), "--verdict", "go")
        self.done("set-digest", "--branch", "staging", f"inference={digest('c')}")
        self.refused("not all of them together", *self.promote())

    def test_a_chart_that_has_changed_since_the_test_is_refused(self):
        self.release_to_staging()
        self.push({"helm/prowl/values.yaml": "replicas: 2\n"})
        self.refused("changed since it was tested in staging: helm/prowl/values.yaml", *self.promote())

    def test_values_of_production_alone_may_change(self):
        self.release_to_staging()
        self.push({"helm/environments/production.yaml": "environment: production\nreplicas: 4\n", "README.md": "words\n"})
        self.done(*self.promote())
        self.assertIn("replicas: 4", self.show("main", "helm/environments/production.yaml"))

    def test_what_the_table_does_not_list_is_refused(self):
        self.release_to_staging()
        for line, because in (
            ("tags: {inference: evil}", "production.yaml sets tags, which helm/environments/README.md does not list"),
            ("rollouts:\n  enabled: false", "production.yaml sets rollouts.enabled, which"),
            ("rollouts:", "production.yaml sets rollouts, which"),
            ("- replicas", "line 2 of helm/environments/production.yaml is no key with its value"),
        ):
            self.push({PRODUCTION: f"environment: production\n{line}\n"})
            self.refused(because, *self.promote())
            self.refused(because, *self.promote("--check"))

    def test_nor_does_a_row_count_that_came_after_the_test(self):
        self.release_to_staging()
        row = "| `tags.inference` | `tested` | `evil` | why |\n"
        self.push({PRODUCTION: "environment: production\ntags:\n  inference: evil\n", environments.TABLE: TABLE + row})
        self.refused("production.yaml sets tags.inference", *self.promote())

    def test_nor_what_production_alone_sets(self):
        self.push({PRODUCTION: "environment: production\ntags: {inference: evil}\n"}, branch="main")
        self.release_to_staging()
        self.refused("production.yaml sets tags", *self.promote())

    def test_staging_sets_nothing_else_either(self):
        self.push({"helm/environments/staging.yaml": "environment: staging\ntags: {inference: good}\n"})
        self.release_to_staging()
        self.refused("staging.yaml sets tags", *self.promote())

    def test_what_only_production_has_is_refused(self):
        self.release_to_staging()
        self.push({"helm/prowl/hotfix.yaml": "hot: true\n"}, branch="main")
        for arguments in (), ("--check",):
            self.refused("changed by commits that only main has: helm/prowl/hotfix.yaml", *self.promote(*arguments))

    def test_a_conflict_is_refused(self):
        self.release_to_staging()
        self.push({release.RELEASE: RELEASE.replace(digest("a"), digest("d"))}, branch="main")
        for arguments in (), ("--check",):
            self.refused("do not go together", *self.promote(*arguments))

    def test_a_revert_goes_back_to_an_older_chart(self):
        self.release_to_staging("b")
        self.done(*self.promote())
        # The same images with a newer chart, which comes to production with the next ones only.
        self.push({"helm/prowl/values.yaml": "replicas: 2\n"})
        self.done("record-tested", "--revision", self.at("staging"), "--verdict", "go")
        self.release_to_staging("c")
        self.done(*self.promote())
        self.revert_promotion()
        self.assertIn("tested at", self.done(*self.promote("--check", "--from", "back")))
        # Each record counts with its own chart alone.
        self.commit({"helm/prowl/values.yaml": "replicas: 3\n"})
        self.git("push", "--quiet", "origin", "back")
        self.refused("changed since it was tested in staging", *self.promote("--check", "--from", "back"))

    def test_scripts_that_do_not_know_a_stage_promote_it_and_take_it_back(self):
        self.release_to_staging()
        self.done(*self.promote())
        known = json.loads(self.show("staging", stages.FILE))
        known["stages"]["digest"] = {"images": ["digest"], "paths": [], "tests": []}
        more = self.show("staging", release.RELEASE).replace("digests:\n", f'digests:\n  digest: "{digest("f")}"\n')
        self.push({stages.FILE: json.dumps(known), release.RELEASE: more})
        self.done("record-tested", "--revision", self.at("staging"), "--verdict", "go")
        # Its image has to be signed as the others have.
        self.refused(f"digest@{digest('f')} is not signed", "promote", "--verify", f"sh -c 'case $1 in *{'f' * 64}) exit 1 ;; esac' -")
        self.done(*self.promote())
        self.assertIn(digest("f"), self.show("main", release.RELEASE))
        self.revert_promotion()
        self.assertIn("tested at", self.done(*self.promote("--check", "--from", "back")))

    def test_another_file_of_the_same_model_is_refused(self):
        model = ["--model", "20261130T001500Z", "--model-digest"]
        self.done("set-digest", "--branch", "staging", *model, "1" * 64)
        self.done("record-tested", "--revision", self.at("staging"), "--verdict", "go")
        self.assertEqual(json.loads(self.show("staging", release.TESTED))["releases"][0]["model_digest"], "1" * 64)
        self.done("set-digest", "--branch", "staging", *model, "2" * 64)
        self.refused(f"model 20261130T001500Z with the digest {'2' * 64} was never healthy in staging", *self.promote())
        # What is recorded anew is another release, and the model is carried with its digest.
        self.done("record-tested", "--revision", self.at("staging"), "--verdict", "go")
        carried = self.tree.parent / "carried"
        self.done("promote", "--verify", "true", "--carry", f"""sh -c 'echo "$@" >{carried}' -""")
        self.assertEqual(carried.read_text(), f"20261130T001500Z {'2' * 64}\n")

    def test_records_and_releases_from_before_the_digest_of_a_model_count(self):
        self.push({release.RELEASE: RELEASE.replace('  digest: ""\n', "")})
        self.release_to_staging()
        tested = json.loads(self.show("staging", release.TESTED))
        del tested["releases"][0]["model_digest"]
        self.push({release.TESTED: json.dumps(tested)})
        self.done(*self.promote())

    def test_an_image_without_a_signature_is_refused(self):
        self.release_to_staging()
        self.refused("is not signed", "promote", "--verify", "false")

    def test_a_model_that_production_cannot_have_is_refused(self):
        self.release_to_staging()
        self.refused("is not in the store of production", "promote", "--verify", "true", "--carry", "false")

    def test_a_record_in_what_is_proposed_counts_for_nothing(self):
        self.git("fetch", "--quiet", "origin")
        self.git("checkout", "--quiet", "-B", "forged", "origin/staging")
        self.commit({release.RELEASE: RELEASE.replace(digest("a"), digest("e"), 1)})
        entry = {"revision": self.git("rev-parse", "HEAD"), "tested_at": "2026-11-30T00:00:00Z", "verdict": "go"}
        entry |= release.read(RELEASE.replace(digest("a"), digest("e"), 1))
        self.commit({release.TESTED: json.dumps({"releases": [entry]})})
        self.git("push", "--quiet", "origin", "forged")
        self.refused("was never healthy in staging", *self.promote("--check", "--from", "forged"))

    def test_an_unfinished_release_is_not_recorded(self):
        self.push({release.RELEASE: RELEASE.replace(digest("a"), digest("0"), 1)})
        self.refused("has zeros for fetch: not built yet", "record-tested", "--revision", self.at("staging"), "--verdict", "go")

    def test_a_record_is_not_recorded_in_turn(self):
        self.release_to_staging()
        before = self.at("staging")
        self.assertIn("is recorded already", self.done("record-tested", "--revision", before, "--verdict", "go"))
        self.assertEqual(self.at("staging"), before)
        self.push({"helm/prowl/values.yaml": "replicas: 2\n"})
        self.done("record-tested", "--revision", self.at("staging"), "--verdict", "go")
        self.assertEqual(len(json.loads(self.show("staging", release.TESTED))["releases"]), 2)
        self.done(*self.promote("--check"))

    def test_only_commits_of_staging_are_recorded(self):
        self.git("checkout", "--quiet", "-b", "elsewhere")
        self.commit({"README.md": "elsewhere\n"})
        self.refused("is no commit of staging", "record-tested", "--revision", self.git("rev-parse", "HEAD"), "--verdict", "go")

    def test_two_pipelines_at_once_lose_nothing(self):
        running = [
            subprocess.Popen([sys.executable, DELIVERY / "set-digest", "--branch", "staging", f"{target}={digest('b')}"], cwd=tree, env=self.env)
            for target, tree in self.two_trees()
        ]
        self.assertEqual([process.wait() for process in running], [0, 0])
        found = release.read(self.show("staging", release.RELEASE))["digests"]
        self.assertEqual((found["fetch"], found["trainer"]), (digest("b"), digest("b")))

    def two_trees(self):
        for target in ("fetch", "trainer"):
            tree = self.tree.parent / target
            self.git("clone", "--quiet", self.remote, tree, at=self.tree.parent)
            yield target, tree


class ReleaseFile(unittest.TestCase):
    def test_anything_else_in_it_is_refused(self):
        for line in ("image:\n  registry: evil.example\n", "  other: sha256:0\n", "- list\n"):
            with self.assertRaises(release.Refused):
                release.read(RELEASE + line)

    def test_the_one_that_is_here_can_be_read_and_written(self):
        text = (DELIVERY.parents[1] / release.RELEASE).read_text()
        before = release.read(text)
        after = release.read(release.write(text, {"trainer": digest("b")}, MODEL))
        self.assertEqual(after, {"digests": {**before["digests"], "trainer": digest("b")}, "model": MODEL, "model_digest": ""})

    def test_a_digest_is_that_of_one_model(self):
        known = release.write(RELEASE, model=MODEL, model_digest="1" * 64)
        self.assertIn(f'  digest: "{"1" * 64}"\n', known)
        self.assertEqual(release.read(release.write(known, model=MODEL))["model_digest"], "1" * 64)
        self.assertEqual(release.read(release.write(known, model="20261130T001500Z"))["model_digest"], "")
        with self.assertRaisesRegex(release.Refused, "no line for model.digest: add it"):
            release.write(RELEASE.replace('  digest: ""\n', ""), model=MODEL, model_digest="1" * 64)

    def test_digests_and_versions_have_their_form(self):
        for wrong in ("sha256:abc", "latest", digest("g")):
            with self.assertRaisesRegex(release.Refused, "the digest of fetch"):
                release.read(RELEASE.replace(digest("a"), wrong, 1))
        with self.assertRaisesRegex(release.Refused, "model.version is 'latest'"):
            release.write(RELEASE, model="latest")
        with self.assertRaisesRegex(release.Refused, "model.digest is 'sha256:1"):
            release.write(RELEASE, model=MODEL, model_digest=digest("1"))

    def test_the_record_keeps_the_newest(self):
        text = ""
        for number in range(release.KEPT + 5):
            text = release.add_tested(text, {"revision": str(number)})
        kept = release.read_tested(text)
        self.assertEqual((len(kept), kept[0]["revision"]), (release.KEPT, str(release.KEPT + 4)))


if __name__ == "__main__":
    unittest.main()
