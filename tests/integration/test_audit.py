"""`kedro run --pipeline=audit` and `posinfo audit`, on tiny settings, and the page in a browser."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from posinfo.audit_command import audit_command
from tests.integration.conftest import Copy, assert_no_warning_is_ours, to_compute
from tests.integration.forked import run_module

REPORTS = "08_reporting/audit"
LABEL = "efficientnet_lite0"
HERE = Path.cwd()
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

NETWORK = """
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
"""


@pytest.fixture(scope="module")
def audited(finished) -> Copy:
    return finished("audit")


def record(project, label=LABEL):
    return json.loads((project.data / REPORTS / label / "audit.json").read_text())


def command(project, *arguments):
    paths = os.pathsep.join([str(project.root / "src"), str(project.root)])
    variables = {**os.environ, "COLUMNS": "400", "PYTHONPATH": paths}
    return run_module(
        "posinfo", "audit", "--env=test", *arguments, folder=project.root, environment=variables
    )


def test_pipeline_ends_in_a_page_a_record_and_tables(audited):
    said = audited.result.stdout
    assert to_compute(said, "audit") == (
        "images 3 of 3, structure 1 of 1, features 2 of 2, position 1 of 1, context 1 of 1, "
        "tiles 1 of 1, answers 1 of 1, judge 1 of 1"
    )
    found = record(audited)
    assert found["schema"] == "posinfo.audit/1" and found["passed"]
    numbers = found["numbers"]
    assert numbers["receptive_field"]["value"] == 851  # tf_efficientnet_lite0
    assert numbers["uneven_layers"]["value"] == 5
    assert numbers["consistency"]["n"] == 11
    scores = pd.read_csv(audited.data / REPORTS / "scores.csv")
    assert set(scores.network) == {LABEL}
    of_crops = scores[(scores.measure == "consistency") & (scores["where"] == "crops")]
    assert of_crops.value.mean() == pytest.approx(numbers["consistency"]["value"], abs=1e-9)
    assert f"**{LABEL}**: passed" in said and "Use 65 px." in said
    assert_no_warning_is_ours(said + audited.result.stderr)


def test_child_run_has_the_numbers_and_the_page(audited):
    (child,) = audited.children("audit").values()
    assert child.data.metrics["receptive_field"] == 851
    assert "margin" not in child.data.metrics  # infinite
    assert child.data.params["arch"] == "timm/tf_efficientnet_lite0"
    folder = audited.root / "mlartifacts"
    assert len(list(folder.rglob(f"{child.info.run_id}/artifacts/report.html"))) == 1


def test_page_is_one_file_that_a_person_without_sight_can_read(audited):
    html = (audited.data / REPORTS / LABEL / "report.html").read_text()
    assert len(html) < 3_000_000
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", html)
    assert html.count("<img") == html.count('alt="') and '<html lang="en">' in html
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy"\s+content="(.*?)"', html)
    sources = dict(directive.split(maxsplit=1) for directive in policy.split(";"))
    assert sources["default-src"] == "'none'"
    assert set(sources.values()) == {"'none'", "data:", "'unsafe-inline'"}
    anchors = set(re.findall(r'href="#(\w+)"', html))
    assert anchors and all(f'id="{anchor}"' in html for anchor in anchors)


def browse(page, folder):
    """What the browser's console says of a page, which forbids itself any request."""
    result = subprocess.run(
        [
            str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}",
            f"--screenshot={folder / 'page.png'}", page.resolve().as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return [line for line in result.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_browser_draws_the_page_without_an_error_or_a_request(audited, tmp_path):
    page = audited.data / REPORTS / LABEL / "report.html"
    assert browse(page, tmp_path) == []
    assert (tmp_path / "page.png").stat().st_size > 10_000
    asking = tmp_path / "asking.html"
    asking.write_text(
        page.read_text().replace("<main>", '<main><img src="http://a.example/b.png">')
    )
    assert any("http://a.example/b.png" in line for line in browse(asking, tmp_path))


def test_network_of_ones_own_passes_fails_and_errs(project):
    (project.root / "mine.py").write_text(NETWORK)
    passed = command(project, "mine:build", "--label=mine", "--fail-if=reach>64")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    found = record(project, "mine")
    assert found["numbers"]["stride"]["value"] == 2
    assert found["numbers"]["margin"]["value"] is not None
    baseline = project.root / "baseline.json"
    shutil.copy(project.data / REPORTS / "mine/audit.json", baseline)
    failed = command(project, "mine:build", "--label=mine", "--fail-if=uneven_layers>0")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "mine failed: uneven_layers > 0: it is 1" in failed.stdout
    assert not record(project, "mine")["passed"]
    better = json.loads(baseline.read_text())
    better["numbers"]["tile_error.0"]["value"] = 0.0
    baseline.write_text(json.dumps(better))
    worse = command(project, "mine:build", "--label=mine", f"--baseline={baseline}")
    larger = command(
        project, "mine:build", "--label=mine", f"--baseline={baseline}", "--image-size=80"
    )
    assert larger.returncode == 2 and "was measured otherwise: image_size" in larger.stderr
    assert worse.returncode == 1, worse.stdout + worse.stderr
    assert "mine failed: tile_error.0 was 0 and is" in worse.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet81"], "got 'resnet81' (did you mean 'resnet18'?)"),
        (["resnet18", "--output=logits"], "the network returns no 'logits'"),
    ],
)
def test_what_cannot_be_audited_ends_with_code_2_before_the_long_work(project, arguments, message):
    result = command(project, *arguments)
    said = " ".join((result.stdout + result.stderr).split())
    assert result.returncode == 2, said
    assert message in said
    assert "structure 1/1" not in said


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        (["--fail-if=speed<1"], {"audit": {"fail_if": ["speed<1"]}}),
        (["--image-size=80"], {"audit": {"image_size": 80}}),
        (["--images=a"], {"audit": {}, "photos": {"test_dir": str(HERE / "a")}}),
        (["--baseline=b.json"], {"audit": {"baseline": str(HERE / "b.json")}}),
        (
            ["resnet18", "--weights=c.pth", "--output=logits", "--part=features", "--label=mine"],
            {
                "audit": {
                    "networks": {
                        "mine": {
                            "arch": "resnet18", "weights": "c.pth", "part": "features",
                            "output": "logits",
                        },
                    },
                    "only": ["mine"],
                },
            },
        ),
    ],
)  # fmt: skip
def test_options_are_parameters_of_the_pipeline(monkeypatch, arguments, parameters):
    asked = []
    monkeypatch.setattr(
        "posinfo.audit_command._run", lambda *run: asked.append(run) or [{"passed": True}]
    )
    assert CliRunner().invoke(audit_command, [*arguments, "--env=test"]).exit_code == 0
    assert asked == [("test", parameters)]


def test_options_of_a_network_need_one():
    result = CliRunner().invoke(audit_command, ["--weights=pretrained"])
    assert result.exit_code == 2 and "go with NETWORK" in result.output
