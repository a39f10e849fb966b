"""`archdsl check`: all that is wrong, once, in words and as data.

Tests `cli/check.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from archdsl.cli import main
from archdsl.library.check import check
from archdsl.spec.find import library_folder, spec_files

FINE = "name: fine\ninput: 3x8x8\nargs: {w: 4}\nnet:\n  conv: 3x3 conv w\n  pool: gap\n  fc: fc 10\n"
VARIANTS = "variants:\n  wide: {w: 8}\n  wider: {w: 16}\n"


def run(*args: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, args)], input=stdin)


def write(tmp_path: Path, text: str, name: str = "spec.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_fine_spec(tmp_path: Path) -> None:
    path = write(tmp_path, FINE)
    result = run(path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{path}: fine (fine)\n"
    write(tmp_path, FINE + VARIANTS)
    assert run(path).stdout == f"{path}: fine (fine and 2 variants)\n"
    assert run(f"{path}#wide").stdout == f"{path}: fine (wide)\n"
    assert run("-", stdin=FINE).stdout == "<stdin>: fine (fine)\n"


def test_a_folder_of_fine_specs_and_their_claims(tmp_path: Path) -> None:
    for name in ("vgg16", "resnet20", "lenet5"):  # the whole library: tests/library/test_specs.py
        write(tmp_path, (library_folder() / f"{name}.yaml").read_text(), f"{name}.yaml")
    result = run(tmp_path)
    assert result.exit_code == 0, result.stdout
    assert "error[" not in result.stdout
    summaries = [line for line in result.stdout.splitlines() if ".yaml: " in line and not line.startswith(" ")]
    assert len(summaries) == 3
    assert "vgg16 claims macs 15.47G (15,470,264,320), params 138M (138,357,544), depth 16" in result.stdout


def test_every_file_is_told_of_in_one_run(tmp_path: Path) -> None:
    good = write(tmp_path, FINE, "a.yaml")
    bad = write(tmp_path, "input: 3x8x8\nnet: [nonsense]\n", "b.yml")
    write(tmp_path, "not looked at", "c.txt")
    result = run(good, bad, tmp_path / "missing.yaml")
    assert result.exit_code == 2, "one of them is not there: the environment is wrong as well"
    for said in (f"{good}: fine", f"{bad}: 1 error", "error[E0114]", "missing.yaml: 1 error"):
        assert said in result.stdout
    result = run(tmp_path)
    assert result.exit_code == 1
    assert f"{good}: fine" in result.stdout and f"{bad}: 1 error" in result.stdout
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(empty).exit_code == 2


def test_a_folder_has_the_specs_of_its_subfolders(tmp_path: Path) -> None:
    for name in ("deep/er/a.yaml", "B.YML", ".hidden/c.yaml", "env/d.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path, "input: 3x8x8\nnet: [nonsense]\n", name)
    (tmp_path / "env/pyvenv.cfg").touch()
    (tmp_path / "deep/link").symlink_to(tmp_path)
    found = spec_files([tmp_path])
    assert found == [tmp_path / "B.YML", tmp_path / "deep/er/a.yaml"]
    assert run(tmp_path).stdout.count("1 error") == 2
    for command in ("fmt", "fix"):
        printed = CliRunner().invoke(main, [command, str(tmp_path)])
        assert (printed.exit_code, printed.output.count("error[E0301]")) == (1, 2), printed.output


def test_a_mistake_is_told_once_for_all_variants(tmp_path: Path) -> None:
    path = write(tmp_path, FINE.replace("fc 10", "fc 10 relo") + VARIANTS)
    found = check(str(path)).diagnostics
    assert len(found) == 1
    assert not any("variant" in note for note in found[0].notes), "the file's own network has it too"


def test_a_mistake_of_variants_names_them(tmp_path: Path) -> None:
    path = write(tmp_path, FINE + "variants:\n  none: {w: 0}\n  odd: {w: 4.5}\n  fine2: {w: 7}\n")
    found = check(str(path))
    assert found.networks == ("fine", "none", "odd", "fine2")
    notes = [note for d in found.diagnostics for note in d.notes]
    assert "in the variant `none`" in notes
    assert "in the variant `odd`" in notes
    assert found.status == 1


def test_a_variant_alone(tmp_path: Path) -> None:
    path = write(tmp_path, FINE + "variants: {none: {w: 0}, wide: {w: 8}}\n")
    assert run(f"{path}#wide").exit_code == 0
    assert run(f"{path}#none").exit_code == 1
    assert run(f"{path}#nothing").exit_code in (1, 2)
    assert "resnet50.yaml: fine (resnet18)\n" in run("resnet18").stdout


def test_as_json_it_is_a_contract(tmp_path: Path) -> None:
    path = write(tmp_path, FINE.replace("gap", "gop") + "claims: {params: 1G}\n")
    result = run(path, "--format", "json")
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)
    assert list(found) == [
        "code",
        "severity",
        "message",
        "file",
        "line",
        "column",
        "end_line",
        "end_column",
        "notes",
        "help",
        "fixes",
    ]
    assert found["file"] == str(path)
    assert [found[key] for key in ("line", "column", "end_line", "end_column")] == [6, 9, 6, 12]
    assert found["help"] == "did you mean `gmp` or `gap`?"
    assert json.loads(run(write(tmp_path, FINE), "--format", "json").stdout) == []


def test_as_sarif(tmp_path: Path) -> None:
    path = write(tmp_path, FINE.replace("gap", "gop"))
    log = json.loads(run(path, "--format", "sarif").stdout)
    (found,) = log["runs"][0]["results"]
    assert found["level"] == "error"
    assert found["locations"][0]["physicalLocation"]["region"]["startLine"] == 6
    assert [rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]] == [found["ruleId"]]


def test_into_a_file(tmp_path: Path) -> None:
    path, out = write(tmp_path, FINE.replace("gap", "gop")), tmp_path / "out.sarif"
    result = run(path, "--format", "sarif", "-o", out)
    assert (result.exit_code, result.stdout) == (1, "")
    assert json.loads(out.read_text())["version"] == "2.1.0"
    assert run(path, "-o", path, "--force").exit_code == 2


# --- claims ----------------------------------------------------------------------------------------------


def test_claims(tmp_path: Path) -> None:
    path = write(tmp_path, FINE + "claims: {params: 162, macs: 1M, top1: 3%}\n")
    result = run(path)
    assert result.exit_code == 1
    assert "error[E0902]: `macs` is claimed to be 1M; it is 6,952" in result.stdout
    assert "    fine claims params 162, macs 1M (differs: 6,952), top1 3% (unchecked)\n" in result.stdout
    assert run(path, "-a", "w=5").exit_code == 0, "with other arguments it is another network"
    assert run(path, "--input", "3x16x16").exit_code == 0


def test_a_variants_own_claims(tmp_path: Path) -> None:
    path = write(tmp_path, FINE + "claims: {params: 162}\nvariants: {wide: {w: 8, claims: {params: 999}}}\n")
    result = run(path)
    assert result.exit_code == 1
    assert "fine claims params 162\n" in result.stdout
    assert "wide claims params 999 (differs: 314)" in result.stdout


# --- what only a check looks at --------------------------------------------------------------------------


def test_preprocessing_and_labels(tmp_path: Path) -> None:
    path = write(tmp_path, FINE + "preprocess: {mean: [0.1, 0.2]}\nlabels: [a, b]\n")
    result = run(path)
    assert result.exit_code == 1
    assert (
        "error[E0806]: `preprocess` does not match the input: `mean` has 2 values; the input has 3 channels"
        in result.stdout
    )
    assert "warning[W0903]: 2 labels are ignored: the output has 10 values" in result.stdout
    assert "`preprocess: null`" in result.stdout and "`labels: null`" in result.stdout


def test_warnings_fail_only_with_strict(tmp_path: Path) -> None:
    path = write(tmp_path, FINE + "labels: [a, b]\n")
    assert run(path).exit_code == 0
    assert f"{path}: 1 warning (fine)" in run(path).stdout
    assert run(path, "--strict").exit_code == 1


@pytest.mark.parametrize("option", [("-a", "nothing=1"), ("-a", "w=[1"), ("--input", "3x")])
def test_a_mistake_in_an_option_is_usage(tmp_path: Path, option: tuple[str, str]) -> None:
    path = write(tmp_path, FINE + VARIANTS)
    result = run(path, *option)
    assert result.exit_code == 2
    assert result.output.count("error[") == 1


def test_each_variant_has_its_own_note(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    variants = ", ".join(f"v{n}: {{net: {{fc: fc {n}}}}}" for n in (7, 4))
    path.write_text(f"input: 3x8x8\nlabels: [a, b, c]\nnet: {{fc: fc 3}}\nvariants: {{{variants}}}\n")
    notes = {d.message.split()[-2]: d.notes for d in check(path).specs[0].diagnostics}
    assert notes == {"7": ("in the variant `v7`",), "4": ("in the variant `v4`",)}
