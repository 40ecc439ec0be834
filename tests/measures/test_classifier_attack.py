import pandas as pd
import pytest
import torch
from torch import nn

from posinfo.measures.channel_attack import Attack
from posinfo.measures.channel_attack_table import attack_effects
from posinfo.measures.classifier_attack import agreement, agreement_counts, classify_without
from posinfo.networks.surgery.ablation import ablated
from posinfo.work import Work


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.latent = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 5, bias=False)

    def forward(self, images):
        return self.head(self.latent(self.stem(images)).mean((2, 3)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Small().eval()


def test_answers_are_those_of_the_ablated_network(network):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(8, 3, 1, 1, generator=generator).expand(-1, -1, 6, 6) * 3
    means = torch.rand(6)
    sets = [[], [0], [1, 2], [5, 3, 0], [0, 1, 2, 3, 4, 5]]
    attacks = [Attack(torch.tensor(each, dtype=torch.long)) for each in sets]
    attacks.append(Attack(torch.tensor([1, 4]), to_mean=True))
    seen = []
    work = Work(on_progress=seen.append)
    found = classify_without(network, "latent", images.split(3), attacks, means=means, work=work)
    assert found.shape == (6, 8) and sum(seen) == 8
    for answers, each in zip(found, attacks, strict=True):
        values = means if each.to_mean else 0.0
        with torch.no_grad(), ablated(network, "latent", each.channels.tolist(), values):
            assert torch.equal(answers, network(images).argmax(1))
    assert len({tuple(answers.tolist()) for answers in found}) > 2, "sets of channels differ"


def test_what_is_no_classifier_is_refused(network):
    with pytest.raises(ValueError, match=r"the network must return logits \(n, k\); got \(2, 3, 4"):
        classify_without(
            nn.Sequential(nn.Conv2d(3, 3, 3), nn.Identity()), "0", [torch.rand(2, 3, 6, 6)],
            [Attack(torch.tensor([0]))], means=torch.zeros(3), work=Work(),
        )  # fmt: skip


def test_agreement_is_with_the_intact_network_photograph_by_photograph():
    answers = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 0], [0, 2, 0, 0]])
    counts = agreement_counts(answers, torch.tensor([0, 0, 1, 1]))
    assert counts[:, :, 0].tolist() == [[[0, 2], [0, 2]], [[0, 2], [1, 1]], [[1, 1], [2, 0]]]
    assert agreement(counts.sum(1)[:, 0].double()).tolist() == [1, 0.75, 0.25]


def test_effects_take_agreement_as_their_score():
    rows = [("none", 0, "0-0"), ("probe", 1, "0-1"), ("random", 1, "0-1"), ("random", 1, "0-1")]
    attacks = pd.DataFrame(rows, columns=["ranking", "n_channels", "band"]).assign(
        draw=0, replacement="zero", protocol="held_out", top=True
    )
    answers = torch.tensor([[1, 2, 3, 4], [0, 0, 3, 4], [1, 2, 3, 0], [1, 2, 3, 4]])
    # a third group has no image: those of another protocol have more
    counts = nn.functional.pad(
        agreement_counts(answers, torch.tensor([0, 0, 1, 1])), (0, 0, 0, 0, 0, 1)
    )
    (found,) = attack_effects(attacks, counts, ["full"], agreement).to_dict("records")
    assert (found["miou"], found["intact"]) == (0.5, 1)
    assert found["excess"] == pytest.approx((0.75 + 1) / 2 - 0.5)
    two = attack_effects(attacks, counts[:, :2], ["full"], agreement).to_dict("records")[0]
    assert found["excess_low"] == two["excess_low"]
