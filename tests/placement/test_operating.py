"""What operators ask of Placement alone, beside its API at the root."""

from pathlib import Path

import httpx
import pytest

from placement_servers import lanekeeper_placement

pytestmark = pytest.mark.service


def test_health_and_figures_are_answered_beside_the_api(tmp_path: Path) -> None:
    with lanekeeper_placement(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        assert http.get("/healthz").text == "ok\n"
        assert http.get("/readyz").json()["ready"]
        assert "lanekeeper_database_readable 1.0" in http.get("/metrics").text
        assert http.get("/").json()["versions"][0]["max_version"] == "1.39"
        assert http.get("/healthy").status_code == 401  # as every path of the API without a token
