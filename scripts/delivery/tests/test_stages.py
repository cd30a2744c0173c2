"""What belongs to a stage, and what checks it."""

import shutil
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

from scratch import DELIVERY, calls, fake, shell, stages

ROOT = DELIVERY.parents[1]
WORKSPACE = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
MEMBERS = WORKSPACE["members"]


class Stages(unittest.TestCase):
    def test_a_change_of_tests_is_checked_and_builds_nothing(self):
        for stage in stages.NAMES:
            self.assertTrue(stages.touches(stage, "e2e/tests/vault.rs"))
            self.assertNotIn("e2e/**", stages.paths(stage))

    def test_each_test_program_is_of_a_stage(self):
        folders = [ROOT / member / "tests" for member in MEMBERS]
        files = [file for folder in folders for form in ("*.rs", "*/main.rs") for file in folder.glob(form)]
        programs = {file.parent.name if file.name == "main.rs" else file.stem for file in files}
        self.assertEqual(programs, {test for stage in stages.NAMES for test in stages.tests(stage)}, "name them in stages.json")

    def test_images_are_built_from_each_member_of_the_workspace(self):
        let_through = (ROOT / ".dockerignore").read_text().splitlines()
        missing = {member for member in MEMBERS if f"!{member.split('/')[0]}" not in let_through}
        self.assertEqual(missing, set(), "add the folders to .dockerignore")

    def test_an_image_is_built_anew_with_each_crate_that_it_links(self):
        folders = {name: of["path"] for name, of in WORKSPACE["dependencies"].items() if "path" in of}
        links = {member: folders.keys() & tomllib.loads((ROOT / member / "Cargo.toml").read_text()).get("dependencies", {}) for member in MEMBERS}
        self.assertTrue(any(links.values()))
        for stage in stages.NAMES:
            own = [path.removesuffix("**") for path in stages.paths(stage) if path.endswith("/**")]
            built = {member for member in MEMBERS if any(f"{member}/".startswith(path) for path in own)}
            missing = {folders[name] for member in built for name in links[member]} - built
            self.assertEqual(missing, set(), f"add them to the paths of {stage} in stages.json")

    def test_a_stage_is_checked_with_all_that_checks_need(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        tree, fakes = Path(folder.name, "tree"), Path(folder.name, "fakes")
        (tree / "scripts/delivery").mkdir(parents=True)
        for name in ("check-stage", "images-of", "stages.py", "stages.json"):
            shutil.copy(DELIVERY / name, tree / "scripts/delivery")
        for name in (".ci/run", "images/common.sh"):
            (tree / name).parent.mkdir()
            shutil.copy(ROOT / name, tree / name)
        (tree / "Dockerfile").touch()
        fake(tree / ".ci", "test")
        for name in ("cargo", "make", "promtool"):
            fake(fakes, name)
        (fakes / "python3").symlink_to(sys.executable)
        env = {"PATH": f"{fakes}:/usr/bin:/bin", "HOME": folder.name}
        ended = shell(tree / "scripts/delivery/check-stage", "loadtest", env=env)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        *installs, lint, examples = calls(fakes)
        for install, checker in zip(installs, ("cargo-deny", "cargo-machete"), strict=True):
            self.assertRegex(install, rf"^cargo install --quiet --locked {checker} --version [0-9.]+ --root {folder.name}/.cache/prowl-tools$")
        self.assertEqual((lint, examples), ("make lint", "cargo test --workspace --doc"))
        self.assertEqual(calls(tree / ".ci"), ["test --lib --bins " + " ".join(f"--test={name}" for name in stages.tests("loadtest"))])


if __name__ == "__main__":
    unittest.main()
