"""The size of results, to which the network's 4× output is reduced."""

from dataclasses import dataclass

from common.errors import InputError
from common.scale import SCALE

SIDES = ("width", "height", "longest")  # the side that is given in pixels


@dataclass(frozen=True)
class Size:
    """The requested size of every result; the aspect ratio is kept.

    name: `outscale`, with value the factor for the picture's sides, above 0 and up to 4; or one of SIDES, with value
    that side of the result in pixels, 1 or more. Raises ValueError for another value.
    """

    name: str = "outscale"
    value: float = SCALE

    def __post_init__(self):
        if self.name == "outscale":
            if not 0 < self.value <= SCALE:
                raise ValueError(f"outscale {self.value} must be above 0 and at most {SCALE}")
        elif self.name not in SIDES or self.value < 1:
            raise ValueError(f"{self.name} {self.value} is not a possible size of a result")

    @property
    def suffix(self) -> str:
        """The suffix of a result's name: `_x4`, `_x2`, `_x1.5`, `_width1920`, …

        It is the same for all pictures of a command, so that earlier results are recognised by their names.
        """
        return f"_x{self.value:g}" if self.name == "outscale" else f"_{self.name}{self.value}"

    def of(self, height: int, width: int) -> tuple:
        """(height, width) of the result for a picture with these sides, rounded, halves up, to 1 or more.

        Raises InputError, naming the largest possible value, for more than 4 times the sides.
        """
        if self.name == "outscale":
            return tuple(max(1, int(self.value * side + 0.5)) for side in (height, width))
        given = {"width": width, "height": height, "longest": max(height, width)}[self.name]
        if self.value > SCALE * given:
            raise InputError(
                f"its {width}x{height} pixels can become at most {SCALE * width}x{SCALE * height}, {SCALE} times "
                f"the sides: give --{self.name} {SCALE * given} or less"
            )
        return tuple(max(1, (2 * side * self.value + given) // (2 * given)) for side in (height, width))


FULL = Size()  # the network's output
