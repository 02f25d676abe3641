"""The keys of `storage`: what is allowed, and that no secret shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.config.load import load_config, parse_overrides
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.errors import ConfigError, redact
from jobs.executors.local import LocalExecutor
from jobs.service.nights import Origin
from jobs.service.service import Service

CANARY = "c4n4ry-0f-the-st0re"
YARD = "cameras: {yard: {source: yard.mp4, classes: [person]}}\n"


def load(folder: Path, text: str, *overrides: str) -> Config:
    path = folder / "config.yaml"
    path.write_text(YARD + text)
    return load_config(path, overrides=parse_overrides(overrides))


@pytest.mark.parametrize("text", ["", "storage: null", "storage: {url: null}"])
def test_nothing_is_shared_unless_asked(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).storage.url is None


def test_an_address_alone_is_short_for_its_url(tmp_path: Path) -> None:
    assert load(tmp_path, "storage: s3://bucket/folder").storage.url == "s3://bucket/folder"
    assert load(tmp_path, "", "storage=s3://b/f").storage.url == "s3://b/f"


def test_keys_come_from_elsewhere_and_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_KEY", "AKIA-one")
    (tmp_path / "secret").write_text(CANARY + "\n")
    text = "storage: {url: 's3://b', access_key: '${S3_KEY}', secret_key: '${file:secret}'}"
    config = load(tmp_path, text)
    assert (config.storage.access_key, config.storage.secret_key) == ("AKIA-one", CANARY)
    assert CANARY not in repr(config)
    assert redact(f"says {CANARY}") == "says ***"


def test_one_key_of_a_section_leaves_the_others(tmp_path: Path) -> None:
    config = load(tmp_path, "service: {tries: 7}\nstorage: s3://b", "service.watch=false")
    assert (config.service.tries, config.service.watch) == (7, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("storage: bucket/folder", "must be an address such as s3://BUCKET/FOLDER"),
        (
            "storage: {url: 's3://b', endpoint: s3.example.org}",
            "storage.endpoint: got text (not shown)",
        ),
        ("storage: {url: 's3://b', access_key: '${NOT_SET_ANYWHERE}'}", "NOT_SET_ANYWHERE is not"),
        ("storage: {url: 's3://b', ednpoint: x}", 'Did you mean "endpoint"?'),
        ("storage: 7", "storage: got a number (not shown), must be a mapping"),
        ("service: {watch: 1}", "service.watch: got 1, must be true or false"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)


def test_one_key_without_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_KEY", "AKIA-one")
    with pytest.raises(ConfigError, match="secret_key: missing: give both keys, or neither"):
        load(tmp_path, "storage: {url: 's3://b', access_key: '${S3_KEY}'}")


def test_a_key_that_is_written_out_is_refused_and_not_repeated(tmp_path: Path) -> None:
    text = f"storage: {{url: 's3://b', access_key: {CANARY}a, secret_key: {CANARY}}}"
    with pytest.raises(ConfigError, match=r"must be \$\{NAME\}, an environment v") as caught:
        load(tmp_path, text)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(("watch", "cameras"), [(True, ["live"]), (False, [])])
def test_a_machine_may_leave_watching_to_another(
    tmp_path: Path, watch: bool, cameras: list[str]
) -> None:
    settings = {"watch": watch, "port": None}
    camera = {"name": "live", "source": "rtsp://127.0.0.1/1", "classes": ["person"]}
    config = Config.model_validate(
        {"data_dir": tmp_path / "data", "service": settings, "cameras": {"live": camera}}
    )
    with Store(config.data_dir) as store:
        origin = Origin(tmp_path / "config.yaml", {})
        service = Service(config, origin, store, LocalExecutor(1))
        assert [camera.name for camera in service._watched()] == cameras
