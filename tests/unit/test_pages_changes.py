"""The pages that change something: what is shown, what is done, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from prometheus_client import CollectorRegistry

from benchmarks.testbed.done_night import CAMERA, KEPT, AfterNight, make_night
from culling_pipeline.labels.checks import load_checks
from culling_pipeline.labels.corrections import load_corrections
from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.exports.checking import MOST_POINTS
from jobs.pages.access import hash_of
from jobs.pages.house import House, Source
from jobs.pages.moments import zone_of
from jobs.pages.pages import Pages
from models.registry import ModelRegistry
from tests.unit.page_browser import PageBrowser

LOOK = "a password to look"


@dataclass
class Site:
    """The pages of a camera after its night, and a browser that knows their address."""

    night: AfterNight
    store: Store
    client: PageBrowser

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status == status, answer.text
        return answer.text

    def post(self, path: str, status: int = 200, **form: str) -> str:
        """Send a form, its token with it, and go on to the page that follows."""
        token = re.search(
            r'<meta name="csrf" content="([^"]+)"', self.get(f"camera/{CAMERA}/masks")
        )
        assert token is not None
        sent = {"csrf": token[1], **form}
        answer = self.client.post(path, sent)
        assert answer.status == status, answer.text
        return answer.text

    def changes(self) -> list[tuple[str, str | None]]:
        return [(line.what, line.camera) for line in self.store.audit.last(9)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> AfterNight:
    return make_night(tmp_path_factory.mktemp("night"), compared=True)


def _config(made: AfterNight, **service: object) -> Config:
    config = load_config(made.path)
    return config.changed(service=config.service.changed(port=0, **service))


@pytest.fixture(scope="module")
def opened(made: AfterNight) -> Iterator[Site]:
    with Store(made.config.data_dir) as store:
        pages = Pages(House(_config(made), store, CollectorRegistry(), source=Source(made.path)))
        pages.start()
        yield Site(made, store, PageBrowser(pages.address))
        pages.close()


@pytest.fixture
def site(opened: Site) -> Iterator[Site]:
    """With nothing checked yet, and the configuration as it was."""
    text = opened.night.path.read_text(encoding="utf-8")
    for file in opened.night.config.corrections_dir(CAMERA).glob("*"):
        file.unlink()
    yield opened
    opened.night.path.write_text(text, encoding="utf-8")


# -- labels ----------------------------------------------------------------------------------------


def rows(page: str) -> dict[str, str]:
    """The fields of the table of boxes, as a browser without scripts would send them."""
    found = dict(re.findall(r'<input name="([xy][12]_\d+)" value="([^"]+)"', page))
    for name, options in re.findall(r'<select name="(class_\d+)"[^>]*>(.*?)</select>', page):
        chosen = re.search(r"<option selected>([^<]+)<", options)
        found[name] = "" if chosen is None else chosen[1]
    return found


def test_a_frame_is_checked_without_a_script(site: Site) -> None:
    page = site.get(f"camera/{CAMERA}/labels")
    assert "Frame 1 of 3" in page
    assert "shown because student and teacher differ" in page
    zone = str(zone_of(site.night.config.cameras[CAMERA])[0])
    assert f" {zone} · shown because" in page
    form = rows(page)
    boxes = sum(name.startswith("x1") for name in form)
    assert boxes > 1
    new = boxes + 1
    form |= {f"class_{new}": "car", f"x1_{new}": "1", f"y1_{new}": "2", f"x2_{new}": "9,5"}
    form |= {f"y2_{new}": "8", "gone_1": "on", "class_2": "bicycle"}
    form |= {"run_id": site.night.record.run_id, "frame": str(KEPT[0])}
    after = site.post(f"camera/{CAMERA}/labels", **form)
    assert "Frame 2 of 3" in after
    assert "drawn at random: it counts" in after
    (frame,) = load_corrections(site.night.config.corrections_dir(CAMERA)).frames
    assert len(frame.classes) == boxes
    assert frame.classes[0] == "bicycle"
    assert (frame.classes[-1], frame.boxes_xyxy[-1]) == ("car", (1, 2, 9.5, 8))
    assert site.changes()[0] == ("labels checked", CAMERA)


def test_the_scripts_list_is_what_counts(site: Site) -> None:
    form = rows(site.get(f"camera/{CAMERA}/labels"))
    form |= {"run_id": site.night.record.run_id, "frame": str(KEPT[0])}
    site.post(f"camera/{CAMERA}/labels", **form, labels='[["car", 1, 2, 9, 8]]')
    (frame,) = load_corrections(site.night.config.corrections_dir(CAMERA)).frames
    assert frame.classes == ("car",)


def test_all_checked_and_the_figure(site: Site) -> None:
    for _ in range(3):
        page = site.get(f"camera/{CAMERA}/labels")
        frame = re.search(r'name="frame" value="(\d+)"', page)
        assert frame is not None
        run = site.night.record.run_id
        site.post(f"camera/{CAMERA}/labels", **rows(page), run_id=run, frame=frame[1])
    page = site.get(f"camera/{CAMERA}/labels")
    assert "All 3 frames of night" in page
    assert "The teacher was right in 100 % of" in page
    assert "The teacher was right in 100 % of" in site.get(f"camera/{CAMERA}")
    folder = site.night.config.corrections_dir(CAMERA)
    assert len(load_checks(folder)) == 3
    assert load_corrections(folder).frames == ()


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"labels": "[["}, "the form cannot be read"),
        ({"labels": "[" * 9000}, "the form cannot be read"),
        ({"labels": '[["car", 1, 2, 3]]'}, "the form cannot be read"),
        ({"labels": '[["car", null, 2, 3, 4]]'}, "must be a number"),
        ({"labels": '[["<b>x", 1, 2, 3, 4]]'}, "&lt;b&gt;x"),
        ({"labels": '[["car", 1, 2, 3, 1e999]]'}, "must lie in the picture"),
        ({"class_1": "car", "x1_1": "one"}, "must be a number"),
        ({"frame": "-1"}, "must be a whole number"),
        ({"frame": "10"}, "is none of those to check"),
        ({"run_id": "../../x"}, "is none of those to check"),
    ],
)
def test_labels_that_make_no_sense_are_refused(site: Site, form: dict[str, str], why: str) -> None:
    sent = {"run_id": site.night.record.run_id, "frame": str(KEPT[0]), **form}
    page = site.post(f"camera/{CAMERA}/labels", 400, **sent)
    assert why in page
    assert load_checks(site.night.config.corrections_dir(CAMERA)) == ()


def test_all_points_of_a_crowd_pass_the_door_and_no_more(site: Site) -> None:
    sent = {"run_id": site.night.record.run_id, "frame": str(KEPT[0])}
    crowd = json.dumps([["person", 1234.5, 1000.5, 1244.5, 1010.5]] * MOST_POINTS)
    page = site.post(f"camera/{CAMERA}/labels", 400, **sent, labels=crowd)
    assert f"{MOST_POINTS} boxes in one frame: at most 1000 can be saved" in page
    site.post(f"camera/{CAMERA}/labels", 413, **sent, labels=crowd * 4)
    site.post(f"camera/{CAMERA}/masks", 413, labels=crowd)


def test_only_pictures_of_frames_to_check_are_shown(site: Site) -> None:
    run = site.night.record.run_id
    answer = site.client.get(f"camera/{CAMERA}/labels/{run}/{KEPT[0]}.jpg")
    assert answer.content == (site.night.frames / f"{KEPT[0]:06d}.jpg").read_bytes()
    for path in (f"{run}/10.jpg", f"{run}/..%2f.jpg", "2026-01-01/13.jpg", f"{run}/{KEPT[0]}"):
        assert site.client.get(f"camera/{CAMERA}/labels/{path}").status in (400, 404)
    assert site.client.get("camera/door/labels").status == 404


# -- masks -----------------------------------------------------------------------------------------


def test_a_mask_is_drawn(site: Site) -> None:
    before = site.night.path.read_text(encoding="utf-8")
    form = {"mask": "0,0 50,0 50,100 0,100\n\n", "ignore_zones": ""}
    page = site.post(f"camera/{CAMERA}/masks", **form, mask_before="", ignore_zones_before="")
    assert "Saved into config.yaml" in page
    assert "0,0 50,0 50,100 0,100</textarea>" in page
    line = "    mask: [[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]]\n"
    assert site.night.path.read_text(encoding="utf-8").replace(line, "") == before
    assert site.changes()[0] == ("mask saved", CAMERA)
    again = site.post(
        f"camera/{CAMERA}/masks", 400, mask="", mask_before="", **{"ignore_zones": ""}
    )
    assert "somebody has changed mask in config.yaml" in again


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        ("0,0 50,0", "mask"),
        ("0,0 50,0 50,200", "mask[0][2][1]: got 2.0"),
        ("0,0 50,0 nan,9", "mask"),
        ("0,0 50 50,9", "must be a corner as two percents"),
        ("0,0 <b>,0 50,9", "&lt;b&gt;"),
    ],
)
def test_a_mask_that_is_none_is_refused(site: Site, mask: str, why: str) -> None:
    before = site.night.path.read_bytes()
    page = site.post(f"camera/{CAMERA}/masks", 400, mask=mask)
    assert why in page
    assert str(site.night.path.parent) not in page
    assert site.night.path.read_bytes() == before


def test_the_picture_to_draw_on(site: Site) -> None:
    answer = site.client.get(f"camera/{CAMERA}/masks.jpg")
    assert answer.content.startswith(b"\xff\xd8\xff")


# -- versions --------------------------------------------------------------------------------------


@pytest.fixture
def versions(site: Site) -> Iterator[ModelRegistry]:
    """`b`, made from `start`; `b` is in use until the end of the test."""
    registry = ModelRegistry(site.night.config.models_root)
    meta = {"parent": "start", "created_at": "2026-11-22T03:00:00+00:00"}
    if "b" not in registry.all_versions(CAMERA):
        registry.add(CAMERA, "b", {"w": torch.zeros(1)}, meta)
    registry.promote(CAMERA, "b")
    yield registry
    registry.promote(CAMERA, "start")


def test_back_a_version_after_a_second_question_and_undone(
    site: Site, versions: ModelRegistry
) -> None:
    page = site.get(f"camera/{CAMERA}/versions?use=start")
    assert "Yes, use start" in page
    assert versions.incumbent(CAMERA) == "b"
    page = site.post(f"camera/{CAMERA}/use", version="start")
    assert versions.incumbent(CAMERA) == "start"
    assert "<button>Undo</button>" in page
    assert "Undo" not in site.get(f"camera/{CAMERA}/versions?now=start&before=b&at=1")
    assert "Undo" not in site.get(f"camera/{CAMERA}/versions?now=start&before=%3Cb%3E&at=9")
    site.post(f"camera/{CAMERA}/undo", now="start", before="b")
    assert versions.incumbent(CAMERA) == "b"
    said = [what for what, _ in site.changes()[:2]]
    assert said == ["version put back", "version put to work"]
    assert "a night put another model" in site.post(
        f"camera/{CAMERA}/undo", 400, now="start", before="b"
    )


def test_a_version_is_pinned_and_others_are_refused(site: Site, versions: ModelRegistry) -> None:
    assert "in use, pinned" in site.post(f"camera/{CAMERA}/pin", version="b", pinned="yes")
    site.post(f"camera/{CAMERA}/pin", version="b", pinned="no")
    assert versions.pinned(CAMERA) == set()
    for version in ("", "../b", "<b>"):
        page = site.post(f"camera/{CAMERA}/use", 400, version=version)
        assert "has no version" in page
        assert "version '<b>'" not in page


# -- nights, detections, cameras -------------------------------------------------------------------


def test_a_night_is_asked_for_once(site: Site) -> None:
    assert "Its night waits" in site.post(f"camera/{CAMERA}/retrain")
    assert "not asked for twice" in site.post(f"camera/{CAMERA}/retrain")
    assert [due.camera for due in site.store.dues.waiting()] == [CAMERA]


def test_a_detection_is_tried(site: Site) -> None:
    token = re.search(r'name="csrf" value="([^"]+)"', site.get(f"try/{CAMERA}"))
    assert token is not None
    picture = (site.night.frames / f"{KEPT[0]:06d}.jpg").read_bytes()
    for content, status, said in (
        (picture, 200, "data:image/jpeg;base64,"),
        (b"#EXTM3U\nfile:///etc/passwd", 400, "neither a picture"),
    ):
        named = ("&quot;><script>.jpg", content)
        answer = site.client.send(f"try/{CAMERA}", {"csrf": token[1]}, named)
        assert (answer.status, said in answer.text) == (status, True)
        assert "<script>." not in answer.text
    assert site.client.send(f"try/{CAMERA}", {}, ("a.jpg", picture)).status == 403


def test_a_camera_is_added(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in sorted(site.night.frames.glob("*.jpg")):
        (folder / path.name).write_bytes(path.read_bytes())
    page = site.post("add", name="gate", address=str(folder))
    assert "Is this what it should see?" in page
    look = re.search(r'action="[./]*(add/[0-9a-f]{32})"', page)
    assert look is not None
    assert site.client.get(f"{look[1]}.jpg").content.startswith(b"\xff\xd8")
    assert "gate" not in load_config(site.night.path).cameras
    again = site.post(look[1], 400, more=" , ,")
    assert "choose at least one class" in again
    assert 'value=" , ,"' in again
    assert " checked" in page
    assert " checked" not in again
    assert "gate is added" in site.post(look[1], classes="person", more=" car ,")
    camera = load_config(site.night.path).cameras["gate"]
    assert camera.class_names == ("person", "car")
    assert site.changes()[0] == ("camera added", "gate")
    assert "this look is too old" in site.get(look[1], 404)


def test_a_password_goes_into_a_file_and_nowhere_else(site: Site) -> None:
    page = site.post("add", 400, name="gate", address="rtsp://me:s3cretword@127.0.0.1:9/1")
    assert "s3cretword" not in page
    assert 'value="gate"' in page
    assert 'value="rtsp://***@127.0.0.1:9/1"' in page
    assert "Please type the password again" in page
    assert "gate" not in site.night.path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "address", "why"),
    [
        ("../x", "a", "a camera&#39;s name must be of"),
        ("gate", "", "give one of at most"),
        ("gate", "a\nb", "give one of at most"),
        ("gate", "x" * 2001, "give one of at most"),
        (CAMERA, "a.mp4", "there is a camera"),
        ("gate", "/nowhere/at/all.mp4", "nowhere"),
    ],
)
def test_a_camera_that_cannot_be_added_is_refused(
    site: Site, name: str, address: str, why: str
) -> None:
    page = site.post("add", 400, name=name, address=address)
    assert why in page
    assert f'value="{name}"' in page
    assert (f'value="{address}"' in page) == (len(address) <= 2000 and address.isprintable())


# -- who may ---------------------------------------------------------------------------------------

ACTIONS = [
    f"camera/{CAMERA}/labels", f"camera/{CAMERA}/masks", f"camera/{CAMERA}/use",
    f"camera/{CAMERA}/undo", f"camera/{CAMERA}/pin", f"camera/{CAMERA}/retrain", f"try/{CAMERA}",
    "add", "add/0123456789abcdef0123456789abcdef",
]  # fmt: skip


def test_nothing_is_done_without_the_forms_token(site: Site) -> None:
    before = site.changes()
    for path in ACTIONS:
        for form in ({}, {"csrf": "0" * 64}):
            assert site.client.post(path, form).status == 403
    assert site.changes() == before


def test_who_may_look_may_not_change(made: AfterNight) -> None:
    hashes = {"password_hash": hash_of("x"), "look_password_hash": hash_of(LOOK)}
    with Store(made.config.data_dir) as store:
        pages = Pages(House(_config(made, **hashes), store, CollectorRegistry()))
        pages.start()
        browser = PageBrowser(pages.address)
        page = browser.post("login", {"password": LOOK}).text
        token = re.search(r'<meta name="csrf" content="([^"]+)"', page)
        assert token is not None
        for path in ACTIONS:
            assert browser.post(path, {"csrf": token[1]}).status == 403
        for path in (*ACTIONS[:2], f"camera/{CAMERA}/versions", f"try/{CAMERA}", "add"):
            seen = browser.get(path)
            assert seen.status == 200
            sends = re.findall(r'<button(?! type="button")[^>]*>([^<]*)', seen.text)
            assert sends == ["Log out"], path
        pages.close()
