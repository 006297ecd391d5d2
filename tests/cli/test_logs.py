import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from lanekeeper.api.identity.token import AuthBody
from lanekeeper.api.microversion import Microversion
from lanekeeper.api.row import Call
from lanekeeper.cli.logs import spare_the_reader
from lanekeeper.protocol import Credential, Enrolment
from lanekeeper.store.database import Database

_FAILING = """
import structlog
from lanekeeper.cli.logs import set_up

def log_in(password):
    raise ZeroDivisionError("a bug")

set_up()
try:
    log_in("hunter" + str(2))
except ZeroDivisionError as error:
    structlog.get_logger().error("request.failed", exc_info=error)
"""


def on_a_terminal(program: str) -> str:
    """Run *program* with a terminal for its stderr; return what stands there at the end."""
    ours, theirs = os.openpty()
    try:
        subprocess.run([sys.executable, "-c", program], stderr=theirs, check=True, timeout=30)
        return os.read(ours, 1 << 16).decode()
    finally:
        os.close(theirs)
        os.close(ours)


def test_a_traceback_on_a_terminal_has_no_local_variables() -> None:
    said = on_a_terminal(_FAILING)
    assert "request.failed" in said
    assert "ZeroDivisionError: a bug" in said
    assert "hunter2" not in said


def test_a_database_error_does_not_say_what_was_sent(tmp_path: Path) -> None:
    def twice(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE word (text PRIMARY KEY)")
        for _ in range(2):
            connection.execute(sa.text("INSERT INTO word VALUES (:a)"), {"a": "hunter2"})

    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        with pytest.raises(IntegrityError) as caught:
            database.write(twice)
        assert "word.text" in str(caught.value)
        assert "hunter2" not in str(caught.value)


def test_what_carries_a_secret_does_not_show_it() -> None:
    body = msgspec.convert(
        {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"id": "u", "password": "hunter2"}},
                }
            }
        },
        AuthBody,
    )
    call = Call(
        site=None,  # type: ignore[arg-type]  # not looked at
        body=body,
        path={},
        query=(),
        headers={"x-subject-token": "hunter2"},
        base_url="",
        microversion=Microversion(0, 0),
        request_id="",
        token="hunter2",
    )
    told = Enrolment(token="hunter2", host_id="h", host_name="h"), Credential(credential="hunter2")
    assert "hunter2" not in repr((body, call, told))


def test_a_terminal_is_spared_the_requests_that_went_well() -> None:
    served = {"event": "request.served", "status": 200}
    with pytest.raises(structlog.DropEvent):
        spare_the_reader(None, "info", dict(served))
    for kept in ({**served, "status": 503}, {"event": "controller.started"}):
        assert spare_the_reader(None, "info", dict(kept)) == kept
