"""The demonstration, `make demo`: the shipped generators on a few photographs, then a short run of both stages.

    python train/demo.py

Writes to output/demo/: first a figure of photographs that the shipped generators upscale, then the results of training
`srresnet` for a minute or two on photographs that come with installed packages.
The discriminator's 89 million weights make a step of stage 2 slow on a CPU, so stage 2 runs only a few steps.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common.full_set  # noqa: F401
from common import command
from common.errors import InputError
from data.prepare import write_sample
from train.run import checkpoint
from train.training_flags import VGG19_PATHS

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = Path("output/demo")
PHOTOGRAPHS = OUTPUT / "photographs"
FIGURE = OUTPUT / "shipped.png"
SHOWN = ["astronaut", "chelsea", "coffee"]
# The shipped generators were trained on bicubic LR pictures and need only a small learning rate.
TRAINING = ["--data", str(PHOTOGRAPHS), "--output", str(OUTPUT), "--hr-size", "96", "--degradation", "bicubic"]
TRAINING += ["--learning-rate", "1e-4"]
STAGE1 = ["--init", "srresnet", "--batch-size", "8", "--crops-per-image", "8", "--epochs", "4", "--sample-every", "2"]
STAGE2 = ["--batch-size", "4", "--crops-per-image", "2", "--epochs", "1", "--sample-every", "1"]


def run(script: str, flags: list) -> None:
    """Run a command of the project and show its output live."""
    print("$ python " + " ".join([script] + flags), flush=True)
    status = subprocess.run([sys.executable, str(ROOT / script)] + flags, check=False).returncode
    if status:
        raise InputError(f"{script} ended with exit status {status}")


def vgg_flags() -> list:
    """Use VGG19's weights if they exist; the demonstration downloads nothing."""
    if any(Path(path).exists() for path in VGG19_PATHS):
        return []
    print("VGG19's weights not found: stage 2 trains without the VGG loss (get them: python data/download.py vgg19)")
    return ["--no-vgg"]


def main(arguments) -> None:
    start = time.time()
    shutil.rmtree(OUTPUT / checkpoint.FOLDER, ignore_errors=True)  # of the previous demonstration
    write_sample(PHOTOGRAPHS)
    run("infer/evaluate.py", ["--hr", str(PHOTOGRAPHS), "--figure", str(FIGURE), "--pictures", *SHOWN])
    print(f"{FIGURE}: LR, bicubic, SRResNet, SRGAN and HR, after {time.time() - start:.0f} s", flush=True)
    run("train/pretrain_g.py", TRAINING + STAGE1)
    run("train/train_gan.py", TRAINING + STAGE2 + vgg_flags())
    print(f"pictures, figures and weights are in {OUTPUT}/; {time.time() - start:.0f} s in all")


if __name__ == "__main__":
    command.run(command.parser(__doc__).parse_args(), main)
