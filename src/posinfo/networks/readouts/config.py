"""The protocol of the readouts: their head, and how it is fitted."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from posinfo.choices import Section


class RidgeConfig(Section):
    """The closed-form readout (``head: ridge``), which the paper does not have.

    Attributes:
        penalties: candidates, in units of the features' variance; the one with the least error on
            the held-out train photographs is taken, for each pattern by itself.
        held_out: share of the train photographs that choose the penalty.
        positions: sampled per image for kernels larger than 1; a 1x1 readout takes all.
        memory_gib: upper limit of the memory of the normal equations, in GiB.
    """

    penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    held_out: float = Field(gt=0, lt=1)
    positions: int = Field(ge=1)
    memory_gib: float = Field(gt=0)


class ReadoutConfig(Section):
    """The head and its training (Islam et al., ICLR 2020; what it leaves open: released code).

    Attributes:
        head: ``code``: the last convolution is followed by BatchNorm and a sigmoid, as in the
            released code; ``paper``: by nothing (section 3.1; it needs a smaller ``lr``);
            ``ridge``: one linear convolution in closed form, see ``RidgeConfig``.
        kernel_size: side of every kernel in pixels of the feature grid.
        layers: number of convolutions.
        hidden_width: channels between them; ``same``: as many as the features have.
        padding: zero padding of every convolution in pixels per side; 0 as released.
        loss: ``mse``: 1/n times the sum of squared errors (released code); ``half_mse``: 1/2n
            (section 3.2).
        steps: SGD steps, or None where ``epochs`` is set.
        epochs: passes over the train images, or None where ``steps`` is set.
        lr: learning rate, divided by 10 after two thirds of the steps.
        momentum: momentum of SGD.
        weight_decay: weight decay of SGD.
        batch_size: images per step.
        ridge: settings that only ``head: ridge`` uses.
    """

    head: Literal["code", "paper", "ridge"]
    kernel_size: int = Field(ge=1)
    layers: int = Field(ge=1)
    hidden_width: Annotated[int, Field(ge=1)] | Literal["same"]
    padding: int = Field(ge=0)
    loss: Literal["mse", "half_mse"]
    steps: int | None = Field(ge=1)
    epochs: int | None = Field(ge=1)
    lr: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    batch_size: int = Field(ge=2)
    ridge: RidgeConfig

    @model_validator(mode="after")
    def _one_length(self) -> "ReadoutConfig":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(
                f"exactly one of steps and epochs must be set; got steps {self.steps}, "
                f"epochs {self.epochs}"
            )
        return self

    @model_validator(mode="after")
    def _ridge_is_linear(self) -> "ReadoutConfig":
        if self.head == "ridge" and (self.layers, self.padding) != (1, 0):
            raise ValueError(
                "head 'ridge' is one convolution without padding; "
                f"got layers {self.layers}, padding {self.padding}"
            )
        return self

    @property
    def settings(self) -> dict[str, object]:
        """The fields, by name, that the trained head depends on."""
        if self.head == "ridge":
            return self.model_dump(include={"head", "kernel_size", "ridge"})
        return self.model_dump(exclude={"ridge"})

    @property
    def loss_scale(self) -> float:
        """The loss in units of the mean squared error."""
        return 0.5 if self.loss == "half_mse" else 1.0

    def grid(self, feature_size: int) -> int:
        """Side of the predicted map in pixels of the feature grid.

        Args:
            feature_size: side of the features in the same pixels.

        Raises:
            ValueError: fewer than 2 px are left.
        """
        side = feature_size - self.layers * (self.kernel_size - 1 - 2 * self.padding)
        if side < 2:
            raise ValueError(
                f"{self.layers} layers of kernel_size {self.kernel_size} with padding "
                f"{self.padding} leave {max(side, 0)} of {feature_size} px; at least 2 are needed"
            )
        return side

    def total_steps(self, images: int) -> int:
        """SGD steps for this number of train images.

        Raises:
            ValueError: fewer images than a batch.
        """
        if images < self.batch_size:
            raise ValueError(
                f"{images} train images are fewer than readout.batch_size {self.batch_size}: "
                "use more photographs or a smaller batch"
            )
        return self.steps or (self.epochs or 0) * (images // self.batch_size)
