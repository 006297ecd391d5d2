"""What all tests share: the rings' marks and the fixtures that start real programs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from campaign import size
from lanekeeper.control.identity import password

pytest_plugins = ["postgres", "databases", "running", "lab_host"]

# Fixtures that start something, and the ring that a test belongs to because it asks for one.
_RING_BY_FIXTURE = {
    "database_url": "service",
    "module_database_url": "service",
    "empty_database_url": "service",
    "postgresql": "service",
    "own_postgresql": "service",
}

# No test judges by the clock: a busy machine is no fault of the code.
settings.register_profile("lanekeeper", deadline=None, max_examples=size(40, 200))
settings.load_profile("lanekeeper")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres-fsync",
        action="store_true",
        help="let the private PostgreSQL wait for the disk, as in production",
    )


def pytest_configure(config: pytest.Config) -> None:
    # With rich about, a traceback is drawn with every local variable, for seconds.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
    # A proxy or a cloud of the caller's shell is no business of a test.
    for name in list(os.environ):
        if name.startswith("OS_") or name.lower() in {"http_proxy", "https_proxy", "all_proxy"}:
            del os.environ[name]
    # Nor may it have each of the many programs that tests start compile every module anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if ring := _RING_BY_FIXTURE.get(fixture):
                item.add_marker(ring)


@pytest.fixture(autouse=True, scope="session")
def passwords_are_cheap() -> Iterator[None]:
    """A login of a test's own process costs a hundredth of what it costs in production.

    What a hash costs stands in it, so programs that tests start check these as their own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(password, "_NOBODY", password._NOBODY.replace(str(password._COST), "256"))
        patch.setattr(password, "_COST", 256)
        yield
