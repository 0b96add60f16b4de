"""`pytest --limit-skips`: the run fails when more tests were skipped than pyproject.toml allows.

A test that is skipped everywhere protects nothing; in CI, where all that is optional is installed, few may be.
"""

import pytest


def pytest_addoption(parser):
    parser.addoption("--limit-skips", action="store_true", help="fail when more than max_skipped tests are skipped")
    parser.addini("max_skipped", "how many tests may be skipped with --limit-skips", default="0")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    config = session.config
    if not config.getoption("limit_skips") or hasattr(config, "workerinput"):  # pytest-xdist: its first process counts
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped, allowed = reporter.stats.get("skipped", []), int(config.getini("max_skipped"))
    if len(skipped) > allowed:
        reporter.write_line("")
        for report in skipped:
            reporter.write_line(f"skipped: {report.nodeid}: {report.longrepr[2]}")
        reporter.write_line(f"{len(skipped)} tests were skipped; max_skipped in pyproject.toml allows {allowed}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
