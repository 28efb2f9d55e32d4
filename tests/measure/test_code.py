"""A figure names the code and the machine that it was measured with."""

import subprocess

import pytest

import halfbyte
from halfbyte.measure.code import code_name, commit_of
from halfbyte.measure.cpu import machine


def git(folder, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
    command = ["git", *identity, *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_checkout_is_named_by_its_commit(tmp_path):
    git(tmp_path, "init", "-q")
    for name in ("code.py", "results.jsonl", "plot.svg"):
        (tmp_path / name).write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    assert commit_of(tmp_path) == head
    (tmp_path / "results.jsonl").write_text("2")
    (tmp_path / "plot.svg").write_text("2")
    assert commit_of(tmp_path) == head
    (tmp_path / "code.py").write_text("2")
    assert commit_of(tmp_path) == f"{head}-dirty"


def test_an_installed_package_is_named_by_its_version(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")  # of somebody else, around the virtual environment
    for folder in ("venv/lib/halfbyte", "src/halfbyte"):  # the second: a checkout without a commit
        monkeypatch.setattr(halfbyte, "__file__", str(tmp_path / folder / "__init__.py"))
        assert code_name() == halfbyte.__version__


@pytest.mark.parametrize(
    ("cpuinfo", "label"),
    [
        (
            "cpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nstepping\t: 1\n\n"
            "cpu family\t: 0\nmodel name\t: another\n",
            "AMD EPYC (family 25, model 17, stepping 1)",
        ),
        ("model name\t: ARMv7 Processor\n", "ARMv7 Processor"),
    ],
)
def test_a_machine_is_named_with_its_generation(tmp_path, cpuinfo, label):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert machine(tmp_path / "cpuinfo") == label
    assert machine(tmp_path / "none")
