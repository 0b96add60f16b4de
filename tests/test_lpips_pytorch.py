"""The comparison of LPIPS with the authors' package, as far as it goes without PyTorch."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import lpips_pytorch
from common.errors import InputError


def test_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(lpips_pytorch, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="torch and lpips not installed: pip install -r requirements/benchmarks.txt"):
        lpips_pytorch.main(SimpleNamespace(crop=None, repeats=1))


def test_the_pairs_are_blurred_photographs():
    pairs = lpips_pytorch.sample_pairs(64)
    assert len(pairs) > 2
    for sr, hr in pairs:
        assert sr.shape == hr.shape == (64, 64, 3) and sr.dtype == hr.dtype == np.uint8
        assert 0 < np.abs(sr.astype(int) - hr).mean() < 20
