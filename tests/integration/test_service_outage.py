"""`culling run` with a real PostgreSQL that goes and comes back: watching goes on, nights wait."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from benchmarks.testbed.servers.clips import jpeg, moving_picture
from benchmarks.testbed.servers.postgres import PASSWORD, PostgresServer, forms
from benchmarks.testbed.servers.web import WebServer, mjpeg
from benchmarks.testbed.tiny import CAMERA
from culling_pipeline.stage_names import STAGES
from jobs.database.due_queries import Due
from jobs.database.nights import Night
from jobs.database.store import Store
from tests.integration.services import ONE_ARM, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

AWAY = "cameras are watched on, nights wait until it is back"
BACK = "nights go on after"


def test_the_server_is_away_at_the_start_and_again_in_mid_night(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    # Given a live camera, one with a recording, and a server that is not there
    web = WebServer()
    web.paths["/video"] = mjpeg([jpeg(moving_picture(number)) for number in range(8)])
    url = postgres.new_database()
    live = {"source": web.url("/video"), "fps": 1, "classes": ["person"]}
    content = {
        "device": "cpu", "data_dir": "data", "workers": 1, "database": url,
        "defaults": {"schedule": None}, "service": {"port": 0, "tries": 1},
        "cameras": {CAMERA: ONE_ARM | {"fps": 0.0003}, "gate": live},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    days = tmp_path / "data" / "days" / "gate"
    postgres.kill()
    with running(tmp_path) as service:
        said = service.log.read_text

        # Then the service starts, says so once, and watches
        service.wait_until(lambda: AWAY in said())
        service.grows(days)
        assert service.status("") == service.status("../metrics") == 503

        # When the server is back, nights begin
        postgres.start()
        service.wait_until(lambda: BACK in said())
        assert service.status("") == 200
        with Store(tmp_path / "data", url) as store:
            store.dues.ask(CAMERA, datetime.now(UTC) - timedelta(seconds=1))
            service.wait_until(lambda: "start" in stages(store))
            before = stages(store)

        # When it goes in the middle of a night, that waits, and the camera is watched on
        postgres.kill()
        service.wait_until(lambda: "the night waits for it" in said())
        service.wait_until(lambda: said().count(AWAY) == 2)
        service.grows(days)
        assert len(service.nights()) == 1
        postgres.start()

        # Then it goes on where it was, and has been tried once, though twice was not allowed
        with Store(tmp_path / "data", url) as store:
            service.wait_until(lambda: stages(store) > before)
            night, due = of_night(store)
        assert night is not None
        assert (night.state, night.attempt, due.state, due.attempt) == ("running", 1, "running", 1)
        service.wait_until(lambda: said().count(BACK) == 2)
        assert service.end(signal.SIGTERM) == 0
    assert (said().count(AWAY), said().count(BACK)) == (2, 2)
    assert "Traceback" not in said()
    assert [form for form in forms(PASSWORD) if form in said()] == []
    web.kill()


def of_night(store: Store) -> tuple[Night | None, Due]:
    (due,) = store.dues.all(CAMERA)
    return store.latest_night(CAMERA), due


def stages(store: Store) -> set[str]:
    """The stages that its night has finished."""
    night, _ = of_night(store)
    if night is None:
        return set()
    return {s.key for s in STAGES if store.stage_result(night.id, s.key) is not None}
