"""The GPU set and the CPU set are the same but for the build of Paddle and the engine for CPUs."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def requirements(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


CPU_ENGINE = ["openvino", "paddle2onnx==1.3.1"]


def test_the_two_sets_differ_in_paddle_and_the_cpu_engine_alone():
    gpu, cpu = requirements("requirements.txt"), requirements("requirements-cpu.txt")
    assert gpu[0] == "paddlepaddle-gpu==2.6.2" and cpu[0] == "paddlepaddle==2.6.2"
    assert [*gpu[1:], *CPU_ENGINE] == cpu[1:]


def test_the_exporter_is_one_version_everywhere():
    assert CPU_ENGINE[1] in requirements("requirements-export.txt")
