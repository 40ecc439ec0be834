import os
import shutil
import subprocess
import sys
import zipfile

from tests.conftest import PROJECT


def test_packaged_project_runs_with_a_configuration_file(tmp_path):
    """From a folder that has nothing but `conf`, with the section that `kedro run` reads, too."""
    source, site, folder = (tmp_path / name for name in ("source", "site", "folder"))
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "local")
    shutil.copytree(PROJECT / "src", source / "src", ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-w", tmp_path, source], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    shutil.copytree(PROJECT / "conf", folder / "conf", ignore=ignored)
    (folder / "run.yml").write_text(
        "run:\n"
        "  env: test\n"
        "  pipelines: permutenet\n"
        "  params: {permutenet: {only: [gapnet-none-location-3x3], seeds: [0]}}\n"
    )
    result = subprocess.run(
        [sys.executable, "-m", "posinfo", "--config=run.yml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "permutenet: to compute: images 1 of 1, train 1 of 1" in result.stdout
    assert "WARNING" not in result.stdout
    table = (folder / "data/test/08_reporting/permutenet/table.md").read_text()
    assert "1.000 (slides and poster)" in table  # of the published numbers
    last = result.stdout.splitlines()[-1]
    assert last.startswith("MLflow: mlflow ui --backend-store-uri=sqlite:///mlflow.db, then http")
