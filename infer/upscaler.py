"""A trained generator as a function that upscales pictures."""

import threading

import cv2
import numpy as np

from common.device import available_memory, choose_device
from common.errors import InputError
from common.scale import SCALE
from data.imresize import shrink
from data.pictures.picture import GREY
from infer import colour, engines, self_ensemble, tiles
from infer.combine import mix
from infer.engines.int8 import quantized_path, read_quantized
from models.weight_files.shipped import DEFAULT, weights_path

BATCH_ON_CPU = 64 * 64  # LR pixels: on a CPU, computing more windows at once takes memory and saves nothing
MOST_ON_CPU = 2_200_000_000  # bytes, with the result: so upscaling 4000×3000 stays under 3 GB, with the libraries
LEAST_ON_CPU = 300_000_000  # for a window with a tile of a useful size
PIECE_SHARE = 10  # a tenth of the memory is for the upsampling: getting more from the system is slow at first


class Upscaler:
    """Pictures to 4 times their sides, or less, by a trained generator: `Upscaler()(rgb_uint8)`.

    weights: `srgan`, `srresnet` or `srgan_photo`, which come with the project, a `.pdparams` file, or a folder of the
        article's (`models/g_models/`).
    engine: `auto` (the fastest available), `openvino` or `eager`.
    precision: `auto` (int8 for 8-bit pictures if the weights have a quantized form and the CPU has instructions for it,
        else bf16 if it has those), `int8`, `fp32`, `bf16` or `fp16`.
    device: `cpu`, `gpu` or `gpu:N`; None takes a GPU if there is one.
    tile: the side in LR pixels of the tiles that a picture is computed in; None: chosen to fit the memory. It changes
        the memory and the time, not the result.
    blend, alpha: a second generator's weights and their share of the mixture, 0..1 (see `infer.combine.mix`).
    self_ensemble: the mean over the 8 flips and quarter turns of the picture; 8 times the time.

    Raises InputError, naming the file or the setting, for weights that cannot be used and for an engine, a device or a
    precision that is not available. The attributes `engine`, `precision` and `device` hold the choices made, `weights`
    the path. Several threads may share an Upscaler: it computes their pictures one after the other.
    """

    def __init__(
        self,
        weights=DEFAULT,
        engine="auto",
        precision="auto",
        device=None,
        tile=None,
        blend=None,
        alpha=0.5,
        self_ensemble=False,
    ):
        if tile is not None and tile < 1:
            raise InputError(f"--tile {tile}: must be at least 1")
        self.weights = weights_path(weights)
        self.device = choose_device(device)
        self.engine = engines.choose(engine, self.device)
        is_quantized = not blend and quantized_path(self.weights).is_file()
        self.precision, self._precision_of_16_bits = (
            engines.choose_precision(precision, self.engine, self.device, has_8_bits and is_quantized)
            for has_8_bits in (True, False)
        )
        if blend and self.precision == "int8":
            raise InputError("--precision int8: a mixture has no quantized form; use bf16 or fp32")
        self.tile = tile
        self._mixture, self._self_ensemble = (weights_path(blend) if blend else "", alpha), self_ensemble
        self._networks = {self.precision: self._load(self.precision)}
        self._lock = threading.Lock()

    def _load(self, precision: str) -> tuple:
        """The engine's (trunk, upsampling), and the bytes that each takes for an LR pixel."""
        arrays = mix(self.weights, *self._mixture)
        quantized = read_quantized(self.weights, arrays) if precision == "int8" else None
        module = engines.module(self.engine)
        parts = module.load(arrays, precision, self.device, quantized)
        trunk_bytes, upsampling_bytes = module.BYTES_PER_PIXEL[precision]
        if self._self_ensemble:
            parts = self_ensemble.wrap(*parts)
            trunk_bytes += self_ensemble.BYTES_PER_PIXEL
        return (*parts, trunk_bytes, upsampling_bytes)

    def __call__(self, rgb_uint8: np.ndarray, outscale: float = SCALE) -> np.ndarray:
        """RGB uint8 [h,w,3] to [4h,4w,3], 0..255; or to `outscale` times its sides, above 0 and up to 4, rounded.

        Raises ValueError for another type, shape or outscale.
        """
        if rgb_uint8.dtype != np.uint8 or rgb_uint8.ndim != 3 or rgb_uint8.shape[2] != 3:
            raise ValueError(f"expected uint8 [h,w,3], got {rgb_uint8.dtype} {list(rgb_uint8.shape)}")
        if not 0 < outscale <= SCALE:
            raise ValueError(f"outscale {outscale}: must be above 0 and up to {SCALE}")
        return self.upscale(rgb_uint8, size=tuple(max(1, int(outscale * side + 0.5)) for side in rgb_uint8.shape[:2]))

    def upscale(self, lr: np.ndarray, progress=lambda share: None, beside: int = 0, size=None) -> np.ndarray:
        """uint8 or uint16 [h,w,3] (RGB) or [h,w,1] (grey), full range, to the same at [4h,4w,…], or at `size`.

        A grey picture is computed as RGB with three equal planes, and the output is converted to grey. LR's colours are
        kept, see `infer/colour.py`.
        progress: called regularly with the share of the picture, 0..1, done since the last call.
        beside: bytes of memory to leave free for processing the result.
        size: (height, width), at most 4 times the picture's: the network's output is reduced to it by
            `data.imresize.shrink`, bicubic and antialiased.
        Raises ValueError for another type, shape or size, or no pixels; InputError if the result does not fit into
        memory.
        """
        if lr.dtype not in (np.uint8, np.uint16) or lr.ndim != 3 or lr.shape[2] not in (1, 3) or not lr.size:
            raise ValueError(f"expected uint8 or uint16 [h,w,3] or [h,w,1], got {lr.dtype} {list(lr.shape)}")
        height, width, planes = lr.shape
        size = size or (SCALE * height, SCALE * width)
        if not (1 <= size[0] <= SCALE * height and 1 <= size[1] <= SCALE * width):
            raise ValueError(f"size {size} is not 1 to {SCALE} times {(height, width)}")
        is_reduced = size != (SCALE * height, SCALE * width)
        if is_reduced:
            beside += size[0] * size[1] * planes * lr.itemsize  # both exist for a moment
        memory = working_memory(self.device, SCALE**2 * lr.nbytes + beside)
        precision = self.precision if lr.dtype == np.uint8 else self._precision_of_16_bits
        with self._lock:
            if precision not in self._networks:  # that for 16 bits is loaded when it is needed
                self._networks[precision] = self._load(precision)
            trunk, upsampling, trunk_bytes, upsampling_bytes = self._networks[precision]
        for_piece = memory // PIECE_SHARE
        window_pixels, piece_pixels = (memory - for_piece) // trunk_bytes, for_piece // upsampling_bytes
        sr = np.empty((SCALE * height, SCALE * width, planes), lr.dtype)
        mirrored = colour.mirror(lr)
        height, width = mirrored.shape[:2]
        tile = (self.tile, self.tile) if self.tile else tiles.tile_for(height, width, tiles.REACH, window_pixels)
        windows = tiles.windows(height, width, tile, tiles.REACH, colour.MARGIN)
        batch_pixels = min(window_pixels, BATCH_ON_CPU) if self.device == "cpu" else window_pixels
        rows, columns = windows[0]
        at_once = max(1, batch_pixels // ((rows.stop - rows.start) * (columns.stop - columns.start)))
        for start in range(0, len(windows), at_once):
            batch = windows[start : start + at_once]
            lrs = np.stack([_to_network(mirrored, *window) for window in batch])
            with self._lock:
                features = trunk(lrs)
                for i, (rows, columns) in enumerate(batch):
                    for down, across in tiles.pieces(rows, columns, piece_pixels, tiles.UPSAMPLING_REACH):
                        piece = features[i : i + 1, :, down.inside(rows), across.inside(columns)]
                        _from_network(upsampling(piece)[0], sr, down, across)
            progress(len(batch) / len(windows))
        colour.match(sr, lr)
        return shrink(sr, *size).copy() if is_reduced else sr  # a copy: the view would keep all of the memory


def working_memory(device: str, result: int) -> int:
    """The bytes available for computing tiles, beside a result of `result` bytes that stays until it is written.

    Raises InputError if the result and the minimum for the tiles exceed the free memory.
    """
    free = available_memory()
    if result + LEAST_ON_CPU > free:
        raise InputError(
            f"its result takes {result / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; use a smaller picture"
        )
    if device == "cpu":
        return max(LEAST_ON_CPU, min(MOST_ON_CPU, free * 4 // 5) - result)
    import paddle

    # The result is in the host's memory. Memory that Paddle has reserved but does not use counts as free.
    total = paddle.device.cuda.get_device_properties(device).total_memory
    return (total - paddle.device.cuda.memory_allocated(device)) // 2


def _to_network(lr: np.ndarray, rows: tiles.Span, columns: tiles.Span) -> np.ndarray:
    """Convert a window of integers [h,w,1 or 3], full range, to float32 [3,h,w] in [-1,1]."""
    window = lr[rows.start : rows.stop, columns.start : columns.stop]
    scaled = window.astype("float32") / (np.iinfo(lr.dtype).max / 2) - 1
    return np.broadcast_to(scaled, (*window.shape[:2], 3)).transpose(2, 0, 1)


def _from_network(piece: np.ndarray, sr: np.ndarray, rows: tiles.Span, columns: tiles.Span) -> None:
    """Write what is kept of a piece, float32 [3,h,w] in [-1,1], to SR, in integers of SR's type and planes, rounded.

    rows, columns: the piece's, in the mirrored picture.
    """
    tops, lefts = ((SCALE * (span.first - span.start), SCALE * (span.last - span.start)) for span in (rows, columns))
    piece = piece[:, slice(*tops), slice(*lefts)]
    if sr.shape[2] == 1:
        piece = np.tensordot(GREY, piece, 1)[None]
    levels = (piece + 1) * np.float32(np.iinfo(sr.dtype).max / 2)
    depth = cv2.CV_8U if sr.dtype == np.uint8 else cv2.CV_16U
    # OpenCV rounds and clips in one pass, in a fifth of NumPy's time.
    planes = cv2.merge([cv2.add(plane, 0, dtype=depth) for plane in levels])
    top, left = (SCALE * (span.first - colour.MARGIN) for span in (rows, columns))
    height, width = levels.shape[1:]
    sr[top : top + height, left : left + width] = planes.reshape(height, width, -1)
