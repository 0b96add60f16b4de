"""The GPU set and the CPU set are the same but for the build of Paddle."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def requirements(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_two_sets_differ_in_paddle_alone():
    gpu, cpu = requirements("requirements.txt"), requirements("requirements-cpu.txt")
    assert gpu[0] == "paddlepaddle-gpu==2.6.2" and cpu[0] == "paddlepaddle==2.6.2"
    assert gpu[1:] == cpu[1:]


def test_upscaling_needs_a_part_of_the_cpu_set():
    lines = [line for line in requirements("requirements-upscale.txt") if '>= "3.13"' not in line]
    assert {line.partition(";")[0] for line in lines} < set(requirements("requirements-cpu.txt"))
