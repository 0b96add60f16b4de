#!/bin/sh
# Make or refresh a virtual environment with all the project needs:  set_up.sh FOLDER [PADDLE]
# PADDLE is a requirement such as paddlepaddle==3.3.1; without it the GPU set is taken where a GPU works, else the CPU set.
# PYTHON in the environment names the interpreter; without it the first of python3, python3.12 … python3.8 that fits.
set -eu
venv=$1
paddle=${2:-}

fits() { "$1" -c 'import sys; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 12))' 2> /dev/null; }
python=${PYTHON:-}
if [ -z "$python" ]; then
    for python in python3 python3.12 python3.11 python3.10 python3.9 python3.8; do
        if fits "$python" || [ -n "$paddle" ]; then break; fi
    done
fi
if [ -z "$paddle" ] && ! fits "$python"; then
    echo "set-up: $python is not Python 3.8 to 3.12, which Paddle 2.6.2 needs. Name another, make PYTHON=python3.11," >&2
    echo "  or another Paddle, make PADDLE=paddlepaddle==3.3.1" >&2
    exit 1
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
key="$version $paddle $(cat requirements.txt requirements-cpu.txt requirements/dev.txt | cksum)"
if [ "$(cat "$venv/ready" 2> /dev/null)" = "$key" ]; then exit 0; fi

# What follows may be interrupted: until it is done the environment is not ready.
rm -f "$venv/ready"
found=$("$venv/bin/python" -c 'import pip, sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null || true)
if [ "$found" != "$version" ]; then "$python" -m venv --clear "$venv"; fi
install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
# Both builds install the package paddle: one over the other leaves a mixture that pip takes for either.
no_paddle() { "$venv/bin/python" -m pip uninstall --quiet --yes paddlepaddle paddlepaddle-gpu 2> /dev/null; }
no_paddle

if [ -n "$paddle" ]; then
    echo "set-up: the Paddle that was named, $paddle"
    grep -v '^paddlepaddle' requirements.txt > "$venv/requirements-without-paddle.txt"
    install "$paddle" -r "$venv/requirements-without-paddle.txt"
elif ! nvidia-smi > /dev/null 2>&1; then
    echo "set-up: the CPU set, as no nvidia-smi answers here"
    install -r requirements-cpu.txt
else
    echo "set-up: nvidia-smi answers; trying the GPU set"
    install -r requirements.txt
    if "$venv/bin/python" - <<'CHECK'
import sys

import common  # before Paddle: see there
import paddle

if paddle.device.cuda.device_count() == 0:
    sys.exit("Paddle sees no GPU")
paddle.utils.run_check()
CHECK
    then
        echo "set-up: the GPU set; Paddle's own check succeeded"
    else
        echo "set-up: Paddle's own check failed (above): paddlepaddle-gpu 2.6.2 wants CUDA 11.8 and cuDNN 8, and a GPU of"
        echo "  compute capability 6.1 to 8.6. Taking the CPU set. Another Paddle can be named: make demo PADDLE=…"
        no_paddle
        install -r requirements-cpu.txt
    fi
fi
install -r requirements/dev.txt
printf '%s\n' "$key" > "$venv/ready"
