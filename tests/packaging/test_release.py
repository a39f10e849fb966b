"""The files of a release: the version in every place, pins of actions, the recipe, the entries of `torch.hub`."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from archdsl.spec.find import library_networks
from archdsl.version import __version__
from tests.support.places import ROOT
from tools import pin_actions, release

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))

# --- the version -----------------------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere() -> None:
    assert list(release.problems(ROOT, f"v{__version__}")) == []


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose places agree."""
    files = {
        "archdsl/version.py": '__version__ = "1.10.0"\n',
        "CHANGELOG.md": "# Changes\n\n## 1.10.0, 2030-01-31\n\n* New.\n\n## 1.9.0, 2029-01-31\n\n* Old.\n",
        "CITATION.cff": "cff-version: 1.2.0\nversion: 1.10.0\ndate-released: 2030-01-31\n",
        "packaging/conda/recipe.yaml": 'context:\n  version: "1.10.0"\n',
        "docs/guides/ci.md": "- uses: archdsl/archdsl@v1.10.0\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert list(release.problems(tmp_path, "v1.10.0")) == []
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("archdsl/version.py", "1.10.0", "1.10", "archdsl/version.py: 1.10 is not MAJOR.MINOR.PATCH"),
        ("archdsl/version.py", "1.10.0", "1.11.0", "CHANGELOG.md: the first section is 1.10.0, the version 1.11.0"),
        ("CHANGELOG.md", "2030-01-31", "not released yet", "CHANGELOG.md: not released yet is not the date of 1.10.0"),
        ("CHANGELOG.md", "1.9.0", "1.11.0", "CHANGELOG.md: the sections are not in order, the newest first"),
        ("CITATION.cff", "\nversion: 1.10.0", "", "CITATION.cff: version is missing, expected 1.10.0"),
        ("CITATION.cff", "2030", "2031", "CITATION.cff: date-released is 2031-01-31, expected 2030-01-31"),
        (
            "packaging/conda/recipe.yaml",
            "1.10.0",
            "1.9.0",
            "packaging/conda/recipe.yaml: the version is 1.9.0, expected 1.10.0",
        ),
        ("docs/guides/ci.md", "1.10.0", "1.9.0", "docs/guides/ci.md: uses 1.9.0, the version is 1.10.0"),
    ],
)
def test_each_difference_is_reported(checkout: Path, file: str, old: str, new: str, problem: str) -> None:
    path = checkout / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    assert problem in list(release.problems(checkout))


def test_a_tag_of_another_version_is_reported(checkout: Path) -> None:
    assert list(release.problems(checkout, "1.10.0")) == ["the tag is 1.10.0, the version 1.10.0"]


def test_the_notes_are_the_first_section(checkout: Path) -> None:
    assert release.notes((checkout / "CHANGELOG.md").read_text(encoding="utf-8")) == "* New.\n"


# --- workflows -------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=True, timeout=60).stdout


def test_a_tag_becomes_its_commit(tmp_path: Path) -> None:
    action = tmp_path / "some" / "action"
    action.mkdir(parents=True)
    git(action, "init", "-q", "-b", "main")
    git(action, "commit", "-q", "--allow-empty", "-m", "one")
    one = git(action, "rev-parse", "HEAD").strip()
    git(action, "tag", "-a", "v4", "-m", "annotated: the tag is an object of its own")
    git(action, "commit", "-q", "--allow-empty", "-m", "two")
    two = git(action, "rev-parse", "HEAD").strip()

    def commit_of(name: str, tag: str) -> str:
        return pin_actions.commit_of(name, tag, tmp_path.as_uri())

    text = "    - uses: some/action@v4\n      uses: some/action/inner@main\n    - uses: ./local\n"
    pinned = pin_actions.pinned(text, commit_of)
    assert pinned == (
        f"    - uses: some/action@{one} # v4\n      uses: some/action/inner@{two} # main\n    - uses: ./local\n"
    )
    assert pin_actions.pinned(pinned, commit_of) == pinned
    assert pin_actions.pinned(pinned.replace(one, "0" * 40), commit_of) == pinned
    with pytest.raises(LookupError, match="some/action has no tag or branch v9"):
        commit_of("some/action", "v9")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_names_what_exists_and_trusts_no_one_with_more(path: Path) -> None:
    """An expression in a script could run what the author of a pull request wrote; the environment cannot."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    for run in (step["run"] for step in steps if "run" in step):
        assert "${{" not in run
        for name in re.findall(r"(?:tools/|\.ci/)[\w./]+", run):
            assert (ROOT / name).is_file()
    for used in (step["uses"] for step in steps if "uses" in step):
        assert re.fullmatch(r"\./.*|[\w.-]+/[\w./-]+@\S+", used)


def test_only_the_job_that_publishes_may() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["build"]["needs"] == "checks", "only a commit that passes is published"
    assert ".ci/run" in [step.get("run") for step in jobs["checks"]["steps"]]
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    rights = {name: sorted(job["permissions"]) for name, job in jobs.items() if "permissions" in job}
    assert rights == {"publish": ["attestations", "contents", "id-token"], "page": ["contents"]}
    assert (jobs["publish"]["needs"], jobs["smoke"]["needs"], jobs["page"]["needs"]) == ("smoke", "build", "publish")


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="needs actionlint")
def test_workflows_are_clean() -> None:
    subprocess.run(["actionlint", *map(str, WORKFLOWS)], cwd=ROOT, check=True, timeout=60)


# --- other ways to install -------------------------------------------------------------------------------


def test_the_recipe_for_conda_has_the_requirements_of_the_project() -> None:
    recipe = yaml.safe_load((ROOT / "packaging/conda/recipe.yaml").read_text(encoding="utf-8"))
    host, run = (
        [requirement.replace(" ", "") for requirement in recipe["requirements"][key]] for key in ("host", "run")
    )
    in_conda = {"graphviz": "python-graphviz"}
    names = [re.match(r"[\w-]+", requirement)[0] for requirement in PROJECT["project"]["dependencies"]]
    wanted = [
        in_conda.get(name, name) + requirement.removeprefix(name)
        for name, requirement in zip(names, PROJECT["project"]["dependencies"], strict=True)
    ]
    assert run == ["python" + PROJECT["project"]["requires-python"], *wanted]
    assert host == ["python3.11.*", "pip", *PROJECT["build-system"]["requires"]]
    scripts = PROJECT["project"]["scripts"]
    assert recipe["build"]["python"]["entry_points"] == [f"{name} = {target}" for name, target in scripts.items()]
    assert recipe["about"]["license_file"] == PROJECT["project"]["license-files"]


def test_torch_hub_loads_networks_of_the_library() -> None:
    torch = pytest.importorskip("torch")
    module = torch.hub.load(str(ROOT), "resnet20", source="local", num_classes=7)
    assert module(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_the_entries_of_torch_hub_are_the_networks_of_the_library() -> None:
    values = runpy.run_path(str(ROOT / "hubconf.py"))
    entries = {name for name, value in values.items() if callable(value) and not name.startswith("_")}
    assert entries == set(library_networks())
    assert values["vgg16"].__name__ == "vgg16"


def test_torch_hub_knows_the_dependencies() -> None:
    text = (ROOT / "hubconf.py").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = (\[.*?\])", text, re.MULTILINE | re.DOTALL)
    assert listed is not None
    imported = packages_distributions()
    names = {re.sub("[-_.]+", "-", imported[name][0]).lower() for name in yaml.safe_load(listed[1]) if name != "torch"}
    core = {re.match(r"[\w-]+", requirement)[0] for requirement in PROJECT["project"]["dependencies"]}
    assert names == core - {"graphviz-pure"}, "graphviz-pure is a program, it has nothing to import"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("uvx") is None, reason="needs uv")
def test_uvx_runs_a_checkout(tmp_path: Path) -> None:
    command = ["uvx", "--from", str(ROOT), "archdsl", "params", "lenet5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300)
    if done.returncode and re.search("dns|connect|network|request", done.stderr, re.IGNORECASE):
        pytest.skip("needs the network")
    assert done.returncode == 0, done.stderr
    assert "61,706" in done.stdout


def test_the_page_of_the_installation_lists_every_extra() -> None:
    page = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    listed = {name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert set(PROJECT["project"]["optional-dependencies"]) <= listed
