"""Defects of device placement: what stays on the CPU, which no test without a GPU could see."""

from defects.defect import Defect, within

STEPS = "integration/test_fake_cuda.py -k "

DEFECTS = [
    *within(
        "networks/training/canvases.py",
        f"{STEPS}permutenet",
        Defect(
            "answers stay on the CPU",
            "train.targets(images, locations).to(work.device)",
            "train.targets(images, locations)",
        ),
    ),
    *within(
        "networks/training/augshift.py",
        f"{STEPS}augshift",
        Defect("labels stay on the CPU", "labels[images].to(work.device)", "labels[images]"),
    ),
    *within(
        "networks/readouts/features.py",
        f"{STEPS}posenet-features",
        Defect("images stay on the CPU", "backbone(images.to(work.device))", "backbone(images)"),
        Defect(
            "the backbone stays on the CPU",
            "backbone.to(work.device, work.dtype)",
            "backbone.to(work.dtype)",
        ),
    ),
    *within(
        "networks/readouts/convolutional.py",
        f"{STEPS}posenet-readouts",
        Defect("the loss stays on the CPU", "(grid, grid)).to(work.device)", "(grid, grid))"),
    ),
    *within(
        "networks/readouts/ridge.py",
        f"{STEPS}posenet_ablations-readouts",
        Defect("targets stay on the CPU", ".flatten(1).T.to(device)", ".flatten(1).T"),
    ),
    *within(
        "measures/channel_attack.py",
        f"{STEPS}channel_attack-attack",
        Defect(
            "groups are counted on the CPU",
            "torch.arange(batch.start, batch.stop, device=labels.device)",
            "torch.arange(batch.start, batch.stop)",
        ),
    ),
    *within(
        "networks/models/whole_network.py",
        f"{STEPS}consistency",
        Defect("images stay on the CPU", "images.to(work.device), []", "images, []"),
    ),
]
