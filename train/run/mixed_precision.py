"""The precision of a training step: float32 throughout, or with `--amp` mixed precision.

On a GPU that is Paddle's O1: convolutions and matrix products are computed in 16 bits, from float32 weights and to
float32 gradients of them. On a CPU, for which Paddle has none, `train.run.cpu` does so for the convolutions. A step:

    with precision.autocast():
        loss = content(generator(lr), hr)           losses themselves are float32
    precision.backward(loss)
    average_gradients(generator.parameters())       before unscaling: an overflow of one process is then everyone's
    precision.unscale(optimizer)                    from here on the gradients can be measured
    precision.step(optimizer)                       not where a gradient has overflowed

(`infer/engines/precision.py` is about computing a trained network.)
"""

import contextlib
import warnings

import paddle
import paddle.nn.functional as F

from common.device import BF16_FLAGS, cpu_bf16
from common.errors import InputError
from train.run import cpu

# The loss is scaled as Paddle's GradScaler does by default. It is not used itself: with Paddle 3.3 and NumPy 2.4 it
# fails at the first overflow, and it remembers one overflow for all optimizers.
FIRST_SCALE = 2.0**16
GROWS_AFTER = 2000  # steps in a row without an overflow


class Precision:
    """The precision of a run's steps; one object for all its optimizers.

    amp: mixed precision; `dtype` is then float16 on a GPU and bfloat16 on a CPU, else float32. float16 has
    nothing between 0 and 6e-8, so the loss is multiplied by `scale` before the gradients are computed. bfloat16 is for
    the convolutions of networks that were given to `cpu.speed_up` with this `dtype`; the rest is float32.
    Raises InputError where Paddle has no mixed precision on its present device: on GPUs below compute capability 7.0,
    and on CPUs that don't multiply bf16 or with Paddle 2.
    """

    def __init__(self, amp: bool):
        self.dtype = "float32"
        if amp:
            self.dtype = "bfloat16" if paddle.get_device() == "cpu" else "float16"
            self._check()
        self.scale = FIRST_SCALE if self.dtype == "float16" else 1.0
        self.steps = 0  # since the scale last changed
        self._finite = True

    def _check(self) -> None:
        if self.dtype == "bfloat16":
            if not cpu.HAS_BF16_CONVOLUTIONS:
                raise InputError(
                    f"--amp: Paddle {paddle.__version__} has no mixed precision on a CPU; leave it out (it needs "
                    "Paddle 3.3 or a GPU)"
                )
            if not cpu_bf16():
                raise InputError(
                    f"--amp: this CPU has neither {' nor '.join(BF16_FLAGS)}, so it would only be slower; leave it out"
                )
            return
        # Where mixed precision has no effect Paddle warns, at every use, and continues in float32.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with self.autocast():
                found = F.conv2d(paddle.zeros([1, 1, 1, 1]), paddle.zeros([1, 1, 1, 1])).dtype
        if found != paddle.float16:
            raise InputError(
                f"--amp: Paddle {paddle.__version__} has no mixed precision on {paddle.get_device()}; leave it out (it "
                "needs a GPU of compute capability 7.0 or higher)"
            )

    def autocast(self):
        """A context in which networks compute in float16 on a GPU; what they return may be of it, too."""
        if self.dtype != "float16":
            return contextlib.nullcontext()
        return paddle.amp.auto_cast(level="O1", dtype=self.dtype)

    def backward(self, loss) -> None:
        """Add the gradients of `loss`, a float32 scalar, times `scale`."""
        (loss if self.scale == 1 else loss * self.scale).backward()

    @paddle.no_grad()
    def unscale(self, optimizer) -> None:
        """Divide the gradients of the optimizer's weights by `scale`; if one of them has overflowed, all become 0."""
        if self.dtype != "float16":
            return
        gradients = [weight.grad for weight in optimizer._parameter_list if weight.grad is not None]
        self._finite = bool(paddle.stack([paddle.isfinite(gradient).all() for gradient in gradients]).all())
        for gradient in gradients:
            if self._finite:
                gradient.scale_(1 / self.scale)
            else:
                gradient.zero_()

    def step(self, optimizer) -> None:
        """`optimizer.step()`; after an overflow, half the scale instead.

        Raises InputError if the gradients overflow without a scale, too.
        """
        if self._finite:
            optimizer.step()
        if self.dtype != "float16":
            return
        self.steps += 1
        if not self._finite:
            self.scale, self.steps = self.scale / 2, 0
            if self.scale < 1:
                raise InputError(
                    "--amp: the gradients are beyond float16; train without it, or with smaller weights of the losses"
                )
        elif self.steps == GROWS_AFTER:
            self.scale, self.steps = self.scale * 2, 0

    def state(self) -> dict:
        """What a checkpoint keeps: {name: number}."""
        return {"scale": self.scale, "steps": self.steps} if self.dtype == "float16" else {}

    def load_state(self, state: dict) -> None:
        """Continue from `state()`, even from a run in another precision."""
        if state and self.dtype == "float16":
            self.scale, self.steps = float(state["scale"]), int(state["steps"])


FP32 = Precision(amp=False)
