"""A moving average of the generator's weights, smoother than the weights of any single step."""

import paddle

from models.generator import Generator
from models.layers import is_statistic


class Ema:
    """The average of G's weights over its updates (Polyak and Juditsky, 1992, exponentially weighted):

        average = d · average + (1 - d) · weights,    d = min(decay, (1 + n) / (10 + n))

    n is the number of updates before this one. With d = 0.999 from the start, 37 % of the average would still be the
    first, random weights after 1000 updates; so d rises to `decay` over the first 9 / (1 - decay) updates, as in
    TensorFlow's `ExponentialMovingAverage` with `num_updates`.

    generator: provides the initial weights. decay: 0 to 1.
    Attributes: `generator`, a separate network in eval mode with the averaged float32 weights, and `updates`, n.
    Together they are the complete state: set both (`generator.set_state_dict`) to resume the average exactly.
    """

    def __init__(self, generator: Generator, decay: float):
        self.decay = decay
        self.updates = 0
        self.generator = Generator(*generator.sizes)
        self.generator.set_state_dict(generator.state_dict())
        self.generator.eval()
        self._is_statistic = [is_statistic(name) for name, _ in self.generator.named_parameters()]
        for parameter in self.generator.parameters():
            parameter.stop_gradient = True

    def update(self, generator: Generator) -> None:
        """Add the weights of `generator` to the average after a step. Batch norm's moving statistics are copied."""
        share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        with paddle.no_grad():
            for is_copied, average, value in zip(
                self._is_statistic, self.generator.parameters(), generator.parameters()
            ):
                if is_copied:
                    paddle.assign(value, output=average)
                else:
                    # Three short calls take half as long as lerp_, or as joining all weights to one tensor first.
                    average.subtract_((average - value) * share)
        self.updates += 1
