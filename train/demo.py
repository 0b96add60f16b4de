"""What `make demo` runs: both stages, short, on a few photographs that come with installed packages.

    python train/demo.py

Writes to output/demo/ and compares the samples' PSNR after the first epoch and at the end; exit status 1 if it did
not rise. The discriminator's 89 million weights make a step of stage 2 slow on a CPU: its part is a few steps only.
"""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data import command
from data.prepare import write_sample
from models.errors import InputError
from train import checkpoint
from train.flags import VGG19_PATHS

OUTPUT = Path("output/demo")
PHOTOGRAPHS = OUTPUT / "photographs"
COMMON = ["--data", str(PHOTOGRAPHS), "--output", str(OUTPUT), "--hr-size", "96"]
STAGE1 = ["--batch-size", "8", "--crops-per-image", "8", "--epochs", "8", "--sample-every", "4"]
STAGE2 = ["--batch-size", "4", "--crops-per-image", "2", "--epochs", "1", "--sample-every", "1"]
PSNR = re.compile(r"sample PSNR: ([\d.]+) dB")


def run(script: str, flags: list) -> list:
    """Run a training command, its output shown as it comes; the PSNR of its samples in dB, in order."""
    line = [sys.executable, str(Path(__file__).with_name(script))] + COMMON + flags
    print("$ python train/" + " ".join([script] + line[2:]), flush=True)
    found = []
    with subprocess.Popen(line, stdout=subprocess.PIPE, encoding="utf-8") as process:
        for text in process.stdout:
            print(text, end="", flush=True)
            found += [float(value) for value in PSNR.findall(text)]
    if process.returncode:
        raise InputError(f"train/{script} ended with exit status {process.returncode}")
    return found


def vgg_flags() -> list:
    """VGG19's weights are used where they are; no download is started for a demonstration."""
    if any(Path(path).exists() for path in VGG19_PATHS):
        return []
    print("VGG19's weights are not here: stage 2 goes without the VGG loss (python data/download.py vgg19 brings them)")
    return ["--no-vgg"]


def main(arguments) -> None:
    start = time.time()
    shutil.rmtree(OUTPUT / checkpoint.FOLDER, ignore_errors=True)  # of the last demonstration: this one starts anew
    write_sample(PHOTOGRAPHS)
    stage1 = run("pretrain_g.py", STAGE1)
    stage2 = run("train_gan.py", STAGE2 + vgg_flags())
    print(f"pictures, figures and weights are in {OUTPUT}/")
    print(f"mean PSNR of the samples: {stage1[0]:.2f} dB after stage 1's first epoch, {stage1[-1]:.2f} dB at its end,")
    print(f"  {stage2[-1]:.2f} dB after stage 2 (which trades PSNR for texture)")
    print(f"{time.time() - start:.0f} s in all")
    if stage1[-1] <= stage1[0]:
        raise InputError("the PSNR did not rise: the generator did not learn")


if __name__ == "__main__":
    command.run(command.parser(__doc__).parse_args(), main)
