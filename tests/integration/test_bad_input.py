"""What a user may get wrong: a clear message, a failing exit code, and no work done before."""

import mlflow
import pytest


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("posenet.backbones.vgg16.arch=vvgg16", "got 'vvgg16' (did you mean 'vgg16'?)"),
        ("posenet.backbones.vgg16.weights=nothing.pth", "weights: there is no file nothing.pth"),
        ("posenet.readout.kernels=3", "Extra inputs are not permitted"),
        ("posnet.image_size=200", "parameter must be one of"),
        (
            "photos.train_dir=/nowhere/at/all",
            "photos.train_dir: there is no folder /nowhere/at/all",
        ),
        ("device=gpu", "device must be one of auto, cpu, cuda, mps; got 'gpu'"),
        ("posenet.feature_size=500", "feature_size 500 must be at most image_size 216"),
        ("posenet.readout.batch_size=50", "12 train images are fewer than readout.batch_size 50"),
    ],
)
def test_bad_parameter_stops_the_run(project, parameters, message):
    result = project.run(f"--params={parameters}")
    assert result.returncode != 0
    assert message in result.stdout + result.stderr
    assert not list(project.data.glob("04_feature/features-*"))
    assert not (project.data / "08_reporting/posenet/scores.csv").exists()


def test_damaged_photograph_is_named_before_any_feature(project, save_photo):
    for index in range(8):
        folder = save_photo(f"{index}.jpg").parent
    (folder / "broken.png").write_bytes(b"not a picture")
    result = project.run(f"--params=photos.train_dir={folder}")
    assert result.returncode != 0
    assert "1 damaged images" in result.stdout + result.stderr
    assert "broken.png" in result.stdout + result.stderr
    assert not list(project.data.glob("04_feature/features-*"))


def test_unknown_pattern_in_a_list_is_refused(project):
    (project.root / "run.yml").write_text("run:\n  params:\n    posenet: {patterns: [gausian]}\n")
    result = project.run("--config=run.yml")
    assert result.returncode != 0
    assert "got 'gausian' (did you mean 'gaussian'?)" in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("experiment", "messages"),
    [
        ("posenet", ["No partitions found in", "data/test/06_models/posenet"]),
        ("permutenet", ["No such file", "data/test/03_primary/permutenet/images.safetensors"]),
    ],
)
def test_evaluation_before_training_names_what_is_missing(project, experiment, messages):
    result = project.run(f"--pipeline={experiment}", "--tags=evaluation")
    assert result.returncode != 0
    for message in messages:
        assert message in result.stderr


def test_failed_run_is_marked_failed_in_mlflow(project):
    project.run("--params=posenet.readout.batch_size=50")
    client = mlflow.MlflowClient(f"sqlite:///{project.root}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("posinfo").experiment_id])
    assert [run.info.status for run in runs] == ["FAILED"]
