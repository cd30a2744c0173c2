"""Images are pushed to where clusters pull them from, as they were tested, and signed as what they are."""

import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

from scratch import DELIVERY, TwoBranches, calls, digest, fake, release, shell

REGISTRY = re.search(r"^  registry: *(\S+)", (DELIVERY.parents[1] / "helm/environments/base.yaml").read_text(), re.M)[1]
IMAGE = f"registry.test/prowl/fetch@{digest('b')}"

# An archive holds what a registry gives as its digest.
SKOPEO = """for part; do case $part in oci-archive:*) archive=${part#oci-archive:} ;; esac; done
while [ $# -gt 0 ]; do
    if [ "$1" = --digestfile ]; then cat "$archive" >"$2"; fi
    shift
done"""


class Publish(TwoBranches):
    def setUp(self):
        super().setUp()
        self.fakes, self.folder = self.tree.parent / "fakes", self.tree.parent / "packed"
        self.folder.mkdir()
        fake(self.fakes, "skopeo", SKOPEO)
        fake(self.fakes, "cosign", f'if [ "$4" = slsaprovenance1 ]; then cp "$6" {self.fakes}/provenance; fi')
        self.env |= {
            "PATH": f"{self.fakes}:{self.env['PATH']}",
            "REGISTRY": REGISTRY,
            "DIGESTS": f"fetch={digest('b')}",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "owner/name",
            "GITHUB_WORKFLOW_REF": "owner/name/.github/workflows/fetch.yml@refs/heads/staging",
            "GITHUB_REF": "refs/heads/staging",
            "GITHUB_SHA": "5" * 40,
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_RUN_ID": "7",
            "GITHUB_RUN_ATTEMPT": "1",
            "RUNNER_ENVIRONMENT": "github-hosted",
        }

    def publish(self, stage="fetch", **env):
        return shell("publish", stage, str(self.folder), "staging", at=self.tree, env=self.env | env)

    def test_what_was_tested_is_pushed_signed_and_named(self):
        (self.folder / "fetch.tar").write_text(digest("b"))
        ended = self.publish()
        self.assertEqual(ended.returncode, 0, ended.stderr)
        image, said = f"{REGISTRY}/fetch@{digest('b')}", calls(self.fakes)
        self.assertRegex(said[0], "^skopeo copy .*--preserve-digests ")
        self.assertTrue(said[0].endswith(f" oci-archive:{self.folder}/fetch.tar docker://{REGISTRY}/fetch:{'5' * 40}"), said[0])
        self.assertEqual(said[1], f"cosign sign --yes {image}")
        self.assertRegex(said[2], rf"^cosign attest --yes --type slsaprovenance1 --predicate \S+ {image}$")
        self.assertEqual(said[3:], [f"cosign attest --yes --type cyclonedx --predicate {self.folder}/fetch.cdx.json {image}"])
        self.assertEqual(release.read(self.show("staging", release.RELEASE))["digests"]["fetch"], digest("b"))

        made = json.loads((self.fakes / "provenance").read_text())
        built, run = made["buildDefinition"], made["runDetails"]
        workflow = {"repository": "https://github.com/owner/name", "ref": "refs/heads/staging", "path": ".github/workflows/fetch.yml"}
        self.assertEqual(built["externalParameters"]["workflow"], workflow)
        source = {"uri": "git+https://github.com/owner/name@refs/heads/staging", "digest": {"gitCommit": "5" * 40}}
        self.assertEqual(built["resolvedDependencies"], [source])
        self.assertEqual(run["builder"]["id"], "https://github.com/owner/name/.github/workflows/_stage.yml@refs/heads/staging")
        self.assertEqual(run["metadata"]["invocationId"], "https://github.com/owner/name/actions/runs/7/attempts/1")

    def test_another_image_than_the_tested_one_is_not_signed(self):
        # Whoever changes the folder can change all that it says.
        for name in ("fetch.tar", "fetch.digest"):
            (self.folder / name).write_text(digest("c"))
        before = self.at("staging")
        for env, tested in (({}, digest("b")), ({"DIGESTS": f"trainer={digest('c')}"}, "nothing")):
            ended = self.publish(**env)
            self.assertEqual(ended.returncode, 1)
            self.assertIn(f"publish: fetch was pushed as {digest('c')}, and tested as {tested}", ended.stderr)
        self.assertFalse([call for call in calls(self.fakes) if call.startswith("cosign")])
        self.assertEqual(self.at("staging"), before)

    def test_what_pack_has_packed_is_published(self):
        tree = self.tree.parent / "built"
        (tree / "scripts/delivery").mkdir(parents=True)
        (tree / "images").mkdir()
        for name in ("pack", "images-of", "stages.py", "stages.json"):
            shutil.copy(DELIVERY / name, tree / "scripts/delivery")
        shutil.copy(DELIVERY.parents[1] / "images/common.sh", tree / "images")
        (tree / "Dockerfile").touch()
        out, output = tree / "target/images", tree / "output"
        (out / "sbom").mkdir(parents=True)
        fake(tree / "images", "sbom", f'for image; do echo "$image" >{out}/sbom/$image.cdx.json; done')
        wanted = {"scheduler": digest("1"), "executor": digest("2"), "preprocess": digest("3")}
        for image, value in wanted.items():
            for ending in ("tar", "digest"):
                (out / f"{image}.{ending}").write_text(f"{value}\n")
        ended = shell(tree / "scripts/delivery/pack", "cluster", str(self.folder), env=self.env | {"GITHUB_OUTPUT": str(output)})
        self.assertEqual(ended.returncode, 0, ended.stderr)
        packed = {f"{image}.{ending}" for image in wanted for ending in ("tar", "cdx.json")}
        self.assertEqual({file.name for file in self.folder.iterdir()}, packed)
        name, _, digests = output.read_text().strip().partition("=")
        self.assertEqual(name, "digests")
        ended = self.publish("cluster", DIGESTS=digests)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        found = release.read(self.show("staging", release.RELEASE))["digests"]
        self.assertEqual({image: found[image] for image in wanted}, wanted)

    def test_another_registry_is_refused(self):
        ended = self.publish(REGISTRY="registry.test/prowl")
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertIn("publish: images go to registry.test/prowl, but image.registry in helm/environments/base.yaml is ", ended.stderr)
        self.assertEqual(calls(self.fakes), [])


class Registry(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.fakes = Path(folder.name, "fakes")
        self.env = {"PATH": f"{self.fakes}:/usr/bin:/bin", "HOME": folder.name, "GITHUB_REPOSITORY": "owner/name"}

    def test_a_signature_is_one_of_the_workflow_on_staging(self):
        fake(self.fakes, "cosign")
        self.assertEqual(shell("verify-image", IMAGE, env=self.env).returncode, 0)
        who = (
            "--certificate-oidc-issuer https://token.actions.githubusercontent.com"
            " --certificate-identity https://github.com/owner/name/.github/workflows/_stage.yml@refs/heads/staging"
        )
        wanted = [f"cosign verify {who} {IMAGE}", f"cosign verify-attestation {who} --type slsaprovenance1 {IMAGE}"]
        self.assertEqual(calls(self.fakes), wanted)

    def test_signature_and_provenance_are_both_needed(self):
        for missing in ("verify", "verify-attestation"):
            fake(self.fakes, "cosign", f'[ "$1" != {missing} ]')
            self.assertNotEqual(shell("verify-image", IMAGE, env=self.env).returncode, 0, missing)

    def test_a_tag_is_not_verified(self):
        fake(self.fakes, "cosign")
        self.assertEqual(shell("verify-image", "registry.test/prowl/fetch:latest", env=self.env).returncode, 2)
        self.assertEqual(calls(self.fakes), [])

    def test_the_token_of_the_registry_is_no_argument(self):
        fake(self.fakes, "skopeo", f"cat >{self.fakes}/stdin")
        env = self.env | {"REGISTRY": "registry.test/owner/name", "REGISTRY_USER": "robot", "REGISTRY_TOKEN": "planted"}
        self.assertEqual(shell("registry-login", env=env).returncode, 0)
        self.assertEqual(calls(self.fakes), [f"skopeo login --authfile {env['HOME']}/.docker/config.json --username robot --password-stdin registry.test"])
        self.assertEqual((self.fakes / "stdin").read_text(), "planted\n")


if __name__ == "__main__":
    unittest.main()
