"""The precision of a training step: float32 throughout, or with `--amp` mixed precision.

On a GPU this is Paddle's O1: convolutions and matrix products are computed in 16 bits from float32 weights, whose
gradients are float32. Paddle has no such mode for CPUs; there `train.run.cpu` does the same for the convolutions. A
step:

    with precision.autocast():
        loss = content(generator(lr), hr)           losses themselves are float32
    precision.backward(loss)
    average_gradients(generator.parameters())       before unscaling: an overflow then reaches all processes
    precision.unscale(optimizer)                    from here on the gradients can be measured
    precision.step(optimizer)                       skips the update if a gradient has overflowed
"""

import contextlib

import paddle

from common.device import BF16_FLAGS, cpu_bf16
from common.errors import InputError
from train.run import programs

# The loss is scaled as Paddle's GradScaler does by default. GradScaler itself is not used: with Paddle 3.3 and NumPy
# 2.4 it fails at the first overflow, and it keeps one overflow flag for all optimizers.
FIRST_SCALE = 2.0**16
GROWS_AFTER = 2000  # steps in a row without an overflow


class Precision:
    """The precision of a run's steps; one object for all its optimizers.

    amp: whether to use mixed precision; `dtype` is then float16 on a GPU and bfloat16 on a CPU, else float32. float16
    has no numbers between 0 and 6e-8, so the loss is multiplied by `scale` before the gradients are computed. bfloat16
    applies to the convolutions of networks passed to `cpu.speed_up` with this `dtype`; everything else is float32.
    Raises InputError on CPUs that don't multiply bf16, and on CPUs with Paddle 2. On GPUs below compute capability 7.0
    Paddle warns, and computes in float32.
    """

    def __init__(self, amp: bool):
        self.dtype = "float32"
        if amp and paddle.get_device() == "cpu":
            self.dtype = "bfloat16"
            if not programs.HAS_BF16_CONVOLUTIONS:
                raise InputError(
                    f"--amp: Paddle {paddle.__version__} has no mixed precision on a CPU; leave it out (it needs "
                    "Paddle 3.3 or a GPU)"
                )
            if not cpu_bf16():
                raise InputError(
                    f"--amp: this CPU has neither {' nor '.join(BF16_FLAGS)}, so it would only be slower; leave it out"
                )
        elif amp:
            self.dtype = "float16"
        self.scale = FIRST_SCALE if self.dtype == "float16" else 1.0
        self.steps = 0  # since the scale last changed
        self._finite = True

    def autocast(self):
        """A context in which networks compute in float16 on a GPU; their results may be float16 too."""
        if self.dtype != "float16":
            return contextlib.nullcontext()
        return paddle.amp.auto_cast(level="O1", dtype=self.dtype)

    def backward(self, loss) -> None:
        """Accumulate the gradients of `loss`, a float32 scalar, multiplied by `scale`."""
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
        """Call `optimizer.step()`, or after an overflow halve the scale instead.

        Raises InputError if the gradients overflow even without a scale.
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
                    "--amp: the gradients exceed float16's range; train without it, or with smaller loss weights"
                )
        elif self.steps == GROWS_AFTER:
            self.scale, self.steps = self.scale * 2, 0

    def state(self) -> dict:
        """The state for a checkpoint: {name: number}."""
        return {"scale": self.scale, "steps": self.steps} if self.dtype == "float16" else {}

    def load_state(self, state: dict) -> None:
        """Continue from `state()`, even if it is from a run in another precision."""
        if state and self.dtype == "float16":
            self.scale, self.steps = float(state["scale"]), int(state["steps"])


FP32 = Precision(amp=False)
