#!/bin/sh
# Make or refresh a virtual environment with all the project needs:  set_up.sh FOLDER [PADDLE]
# PADDLE is a requirement such as paddlepaddle==3.3.1, else notebooks/set_up.py chooses.
# PYTHON in the environment names the interpreter, else the first of python3, python3.12 … python3.8 that Paddle 2.6.2 fits.
set -eu
venv=$1
paddle=${2:-}

python=${PYTHON:-}
if [ -z "$python" ]; then
    for python in python3 python3.12 python3.11 python3.10 python3.9 python3.8 python3; do
        if "$python" -c 'import sys; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 12))' 2> /dev/null; then break; fi
        if [ -n "$paddle" ]; then break; fi
    done
fi

key="$("$python" --version) $paddle $(cat requirements.txt requirements-cpu.txt requirements/dev.txt | cksum)"
if [ "$(cat "$venv/ready" 2> /dev/null)" = "$key" ]; then exit 0; fi

# What follows may be interrupted: until it is done the environment is not ready.
"$python" -m venv --clear "$venv"
"$venv/bin/python" notebooks/set_up.py $paddle
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
printf '%s\n' "$key" > "$venv/ready"
