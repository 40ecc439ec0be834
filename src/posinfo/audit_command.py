"""`posinfo audit`: one network, its page, and an exit code."""

import json
from pathlib import Path
from typing import Any

import click
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from posinfo.pipelines.console import said_by

PASSED, FAILED, ERROR = 0, 1, 2
PAGES = "audit.pages_folder"


@click.command("audit")
@click.argument("network", required=False)
@click.option("--weights", help="Of the network: a file, or a name such as `pretrained`.")
@click.option("--part", default="", help="Name of a layer that is audited in its place.")
@click.option("--output", default="", help="Path to the output among what it returns: `logits`.")
@click.option("--images", type=click.Path(path_type=Path), help="A folder of photographs.")
@click.option("--image-size", type=int, help="Side of its images in pixels.")
@click.option("--fail-if", multiple=True, help="A condition, such as `consistency<0.95`.")
@click.option("--baseline", type=click.Path(path_type=Path), help="An earlier audit.json of it.")
@click.option("--label", default="network", show_default=True, help="Names the page's folder.")
@click.option("--env", help="Environment of conf/, as for `kedro run`.")
def audit_command(
    network: str | None,
    weights: str | None,
    part: str,
    output: str,
    images: Path | None,
    image_size: int | None,
    fail_if: tuple[str, ...],
    baseline: Path | None,
    label: str,
    env: str | None,
) -> None:
    """Audit NETWORK, or those of the configuration, by the pipeline `audit`.

    NETWORK is one of torchvision's, `timm/NAME`, or `package.module:function`, a function that
    returns one. The exit code is 0 if all passed, 1 if a condition of --fail-if holds or a number
    is worse than in --baseline, and 2 after an error.
    """
    section: dict[str, Any] = {"fail_if": list(fail_if)} if fail_if else {}
    if network is not None:
        own = "as-built" if ":" in network else "untrained"
        about = {"arch": network, "weights": weights or own, "part": part, "output": output}
        section |= {"networks": {label: about}, "only": [label]}
    elif weights or part or output:
        raise click.UsageError("--weights, --part and --output go with NETWORK")
    if image_size is not None:
        section["image_size"] = image_size
    if baseline is not None:
        section["baseline"] = str(baseline.resolve())
    parameters: dict[str, Any] = {"audit": section}
    if images is not None:
        parameters["photos"] = {"test_dir": str(images.resolve())}
    try:
        records = _run(env, parameters)
    except Exception as error:
        click.echo(f"error: {said_by(error)}", err=True)
        raise click.exceptions.Exit(ERROR) from error
    failed = [record for record in records if not record["passed"]]
    for record in failed:
        click.echo(f"{record['label']} failed: {'; '.join(record['failures'])}")
    raise click.exceptions.Exit(FAILED if failed else PASSED)


def _run(env: str | None, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of the networks that were audited."""
    bootstrap_project(Path.cwd())
    with KedroSession.create(env=env, runtime_params=parameters) as session:
        session.run(pipeline_names=["audit"])  # type: ignore[call-arg]
        context = session.load_context()  # type: ignore[attr-defined]
        section = context.config_loader["parameters"]["audit"]
        labels = section["only"] or list(section["networks"])
        files = context.catalog.load(PAGES)
        return [json.loads(files[f"{label}/audit.json"]) for label in labels]
