#!/bin/sh
# Make or refresh a virtual environment with all the project needs:  set_up.sh FOLDER [PADDLE]
# PADDLE is a requirement such as paddlepaddle==3.3.1; without it the GPU set is taken where a GPU works, else the CPU set.
set -eu
venv=$1
paddle=${2:-}
key="$paddle $(cat requirements.txt requirements-cpu.txt | cksum)"
if [ "$(cat "$venv/ready" 2>/dev/null)" = "$key" ]; then exit 0; fi

"${PYTHON:-python3}" - "$paddle" <<'CHECK'
import sys
if not (3, 8) <= sys.version_info[:2] <= (3, 12) and not sys.argv[1]:
    sys.exit("Paddle 2.6.2 needs Python 3.8 to 3.12, this is %d.%d: name another, make PYTHON=python3.11, "
             "or another Paddle, make PADDLE=paddlepaddle==3.3.1" % sys.version_info[:2])
CHECK
if [ ! -x "$venv/bin/python" ]; then "${PYTHON:-python3}" -m venv "$venv"; fi
install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

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
import zlib  # before Paddle: see models/__init__.py
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
        "$venv/bin/python" -m pip uninstall --quiet --yes paddlepaddle-gpu
        install -r requirements-cpu.txt
    fi
fi
printf '%s\n' "$key" > "$venv/ready"
