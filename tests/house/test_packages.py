"""Tests `archdsl.packages`: the commands in hints install an extra from where archdsl came from."""

from __future__ import annotations

import json
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import archdsl.packages
from archdsl.diagnostics import ArchError
from archdsl.packages import EXTRAS, install_command, require_package
from tests.support.places import ROOT


def test_a_checkout_names_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert install_command("torch") == f'pip install -e "{ROOT}[torch]"'
    monkeypatch.chdir(ROOT)
    assert install_command("torch") == 'pip install -e ".[torch]"'
    assert install_command() == 'pip install -e "."'


def installed(monkeypatch: pytest.MonkeyPatch, site: Path, direct_url: str | None) -> None:
    """Pretends that archdsl lies in `site`, installed from `direct_url`."""
    monkeypatch.setattr(archdsl.packages, "__file__", str(site / "archdsl" / "packages.py"))

    class Distribution:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return direct_url

    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution())


def test_an_installed_package_names_where_it_came_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed(monkeypatch, tmp_path, json.dumps({"url": ROOT.as_uri(), "dir_info": {}}))
    monkeypatch.chdir(tmp_path)
    assert install_command("pdf") == f'pip install "{ROOT}[pdf]"'


@pytest.mark.parametrize(
    "direct_url",
    [
        None,
        "{",
        "[]",
        '{"url": "https://example.org/archdsl.whl"}',
        '{"url": "file:///no/such/folder", "dir_info": {}}',
    ],
)
def test_a_package_from_an_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, direct_url: str | None) -> None:
    installed(monkeypatch, tmp_path, direct_url)
    assert install_command("cpu") == 'pip install "archdsl[cpu]"'
    assert install_command() == "pip install --force-reinstall archdsl"


def test_a_missing_package_is_an_error_with_its_command() -> None:
    require_package("json")
    with pytest.raises(ArchError) as refused:
        require_package("no_such_package")
    assert refused.value.diagnostics[0].help == install_command()


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for package, extra in EXTRAS.items():
        required = project["optional-dependencies"][extra]
        assert any(package.replace("_", "-") in line for line in required), package
