"""The report: complete, self-contained, well-formed, honest, and the same bytes every time."""

from __future__ import annotations

import base64
import html
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.testbed.example_night import (
    CLASSES,
    MIDNIGHT,
    accuracy,
    disagreement,
    example_exhibits,
    example_judge,
    example_night,
    example_training,
    example_worse,
    stored_frame,
)
from benchmarks.testbed.small_night import unusable_night
from culling_pipeline import svg
from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.records.day import FeedRecord, GateRecord
from culling_pipeline.records.judging import CountPoint, EarlierDays, JudgeRecord
from culling_pipeline.records.labels import Agreement
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report import charts, pictures, words
from culling_pipeline.report import page as page_module
from culling_pipeline.report.page import beside_words, cautions, render_report, strategy_words
from culling_pipeline.report.pictures import Exhibit
from culling_pipeline.report.sentences import (
    earlier_words,
    feed_words,
    gate_words,
    headline,
    usual_number_words,
)
from culling_pipeline.report.unusable import render_unusable
from culling_pipeline.tasks.boxes import drawing
from models.boxes.detections import Detections

VOID = {"meta", "link", "input", "br", "img", "hr"}
NAN = float("nan")


class Reader(HTMLParser):
    """Checks that tags nest, and collects the visible text and every src and href."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.labels = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs), f"an attribute of <{tag}> is given twice"
        self.addresses += [
            found[key] or "" for key in ("src", "href", "xlink:href") if key in found
        ]
        self.ids += [found["id"] or ""] if "id" in found else []
        self.labels += found.get("role") == "img" and bool(found.get("aria-label"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    assert not re.search(r"\b(nan|NaN|inf|None|undefined)\b", reader.text)
    assert not re.search(r'="[^"]*\b(nan|inf|None)\b[^"]*"', page)
    reader.text = " ".join(reader.text.split())
    return reader


@pytest.fixture(scope="module")
def exhibits() -> list[Exhibit]:
    return example_exhibits()


@pytest.fixture(scope="module")
def page(exhibits: list[Exhibit]) -> str:
    return render_report(example_night(), exhibits, worse=example_worse())


def empty_night() -> NightRecord:
    """A night on which nothing went by: no frame, no object, no random arm, one epoch."""
    night = example_night()
    nothing = accuracy(NAN, NAN, person=None, car=None).model_copy(
        update={"frames": 0, "objects": 0}
    )
    judge = example_judge(
        before=nothing,
        after=nothing,
        random=None,
        difference_low=NAN,
        difference_high=NAN,
        promoted=False,
        reason="nothing to measure",
    )
    none: dict[str, object] = dict.fromkeys(
        ("frames", "survivors", "control", "random", "course", "costs"), ()
    )
    ingest = night.ingest.model_copy(
        update={**none, "frames_seen": 0, "histogram_edges": (), "histogram_counts": ()}
    )
    return example_night(
        judge=judge,
        ingest=ingest,
        cull=night.cull.model_copy(update={"kept": (), "survivors": (), "teacher_calls": 0}),
        resolution=night.resolution.model_copy(
            update={"points": night.resolution.points[:1], "scale": 1.0}
        ),
        train=example_training("culled", computation=1.0, epochs=1),
        random_train=None,
        version=None,
        cost_ratio=NAN,
        full_training_s=0.0,
        night_s=0.0,
        notes=(),
    )


def test_the_page_is_well_formed_self_contained_and_small(page: str) -> None:
    reader = read(page)

    pictures = [address for address in reader.addresses if not address.startswith("#worse-")]
    assert all(address.startswith("data:image/jpeg;base64,") for address in pictures)
    assert "http://" not in page
    assert "https://" not in page
    assert not re.search(r"@import|url\(", page)
    assert len(pictures) == 24 + 2
    assert {a[1:] for a in reader.addresses if a not in pictures} == {"worse-1", "worse-2"}
    assert {"worse-1", "worse-2"} <= set(reader.ids)
    assert reader.labels == 24 + 4 + 8
    assert len(page.encode()) < 1_500_000


def test_two_renders_are_the_same_bytes(page: str, exhibits: list[Exhibit]) -> None:
    assert render_report(example_night(), exhibits, worse=example_worse()) == page


def test_the_headline_says_what_was_decided_and_why(page: str) -> None:
    text = read(page).text

    for words_expected in (
        "New model in use: 0.71 → 0.86 on frames it never trained on",
        "better by 0.149",
        "Crossing north",
        "Saturday, 2026-03-14",
        "10.0.4.17/stream1",
        "person, car, bicycle",
        "2026-03-14-crossing-north-7f3a",
        "0.1.0+4e2a5b0",
        "41 min 12 s",
        "v0012",
    ):
        assert words_expected in text


@pytest.mark.parametrize("name", [*STRATEGIES, "mine"])
def test_the_page_says_of_each_strategy_what_it_does(name: str) -> None:
    night = example_night()
    cull = night.cull.model_copy(update={"strategy": name})
    text = " ".join(read(render_report(example_night(cull=cull), example_exhibits(2))).text.split())
    said = strategy_words(name)
    assert f"survivors: {said.survivors}: 1 in" in text
    assert f"kept set: {said.kept}: 1 in" in text
    assert f"The first 2 frames of the kept set ({said.order})" in text
    others = {other.words for other in STRATEGIES.values()} - {said}
    for part in {part for other in others for part in other} - set(said):
        assert f"({part})" not in text
        assert f": {part}: 1 in" not in text


def test_no_report_takes_its_camera_for_a_street() -> None:
    folder = Path(page_module.__file__).parent
    sources = [p for p in folder.iterdir() if p.suffix in (".py", ".html")]
    assert len(sources) > 8
    for path in sources:
        found = re.findall(r"(?i)\b(?:streets?|traffic|roads?|vehicles?|cars?)\b", path.read_text())
        assert not found, path.name


def test_every_stage_has_its_figures(page: str) -> None:
    text = read(page).text

    for words_expected in (
        "480 frames with 2,391 objects",
        "random blocks of 600 s, one in 6, over the whole day",
        "86,400",
        "1,536",
        "256",
        "1 in 56",
        "labelled 2,272 frames",
        "66 %",
        "840 × 472",
        "46 %",
        "38 times as much",
        "The stream was lost from 13:04 to 13:52 UTC",
        "47 min 7 s",
    ):
        assert words_expected in text


def test_a_kept_model_is_told_as_such() -> None:
    judge = example_judge(
        promoted=False, after=accuracy(0.70, 0.42, person=0.66), reason="worse by 0.012"
    )

    text = read(render_report(example_night(judge=judge, version=None), [])).text

    assert "Kept the old model: it scores 0.71, the new one 0.70" in text
    assert "worse by 0.012" in text
    assert "new model in use" not in text


def test_a_small_difference_gets_a_third_decimal_everywhere() -> None:
    judge = example_judge(after=accuracy(0.714, 0.43, person=0.70))

    assert headline(judge) == "New model in use: 0.712 → 0.714 on frames it never trained on"
    text = read(render_report(example_night(judge=judge), [])).text
    assert "0.712 0.714 +0.002" in text.replace("0.7120.714+0.002", "0.712 0.714 +0.002")


def test_a_sound_night_needs_no_caution() -> None:
    assert cautions(example_judge()) == []


def test_cautions_are_honest() -> None:
    small = {"frames": 60, "objects": 110}
    judge = example_judge(after=accuracy(0.72, 0.43).model_copy(update=small), difference_low=-0.03)

    said = cautions(judge)

    assert len(said) == 3
    assert "small (60 frames, 110 objects)" in said[0]
    assert "−0.03 to +0.19 includes zero" in said[1]
    assert "Random frames did better" in said[2]
    assert "reached 0.82, on the kept set 0.72" in said[2]


def test_a_night_of_nothing_still_makes_a_page() -> None:
    text = read(render_report(empty_night(), [])).text

    assert "Kept the old model: its accuracy could not be measured" in text
    assert "found no object at all" in text
    assert "No copy was trained on random frames" in text
    assert "no pictures to show" in text
    assert "1 epoch over" in text


def test_markup_in_names_is_escaped(exhibits: list[Exhibit]) -> None:
    evil = '"><script>alert(1)</script>'
    night = example_night(
        camera=evil, source=evil, classes=(evil, evil, evil), notes=(evil,), run_id=evil
    )

    page = render_report(night, exhibits[:1])

    read(page)
    assert "<script>alert" not in page
    assert page.count("<script") == 1


def test_a_password_does_not_leave_the_house(page: str) -> None:
    assert "hunter2" not in page


def test_the_change_gate_has_its_line_where_there_was_one(page: str) -> None:
    gate = GateRecord(
        scored=51_240, skipped=35_160, audited=1_850, misses=2, recall=0.9981, threshold=6.2
    )
    night = example_night()
    gated = night.model_copy(update={"ingest": night.ingest.model_copy(update={"gate": gate})})
    line = (
        "35,160 of 86,400 frames were not scored, because nothing had changed. As a check, 1,850 "
        "such frames were scored all the same, and 2 of them showed an object that skipping would "
        "have lost. Estimated recall of frames with an object: 99.8 %."
    )
    assert gate_words(gate) == line
    assert line in render_report(gated, [])
    assert gate_words(None) == ""
    fifth = gate.model_copy(update={"passed_over": 4 * (gate.scored + gate.skipped)})
    assert gate_words(fifth).endswith(line)
    assert gate_words(fifth).startswith("The student was to score ")
    every = GateRecord(
        scored=20, passed_over=80, skipped=0, audited=0, misses=0, recall=1.0, threshold=-1.0
    )
    assert gate_words(every) == "The student was to score 20 of 100 frames."
    assert "were not scored" not in page


def test_a_live_days_gaps_are_told_and_a_recordings_are_none(page: str) -> None:
    feed = FeedRecord(down_s=720, unwatched_s=0, dropped=3, paused=1)
    night = example_night()
    live = night.model_copy(update={"ingest": night.ingest.model_copy(update={"feed": feed})})
    line = (
        "Missing from this day: 12 min without a picture from the camera, 3 frames dropped because "
        "this machine could not keep up, 1 frame not stored because the disk was full."
    )
    assert feed_words(feed) == line
    assert line in render_report(live, [])
    whole = FeedRecord(down_s=0, unwatched_s=0.2, dropped=0, paused=0)
    assert feed_words(whole) == "The whole day was watched."
    assert feed_words(None) == ""
    assert "Missing from this day" not in page


def test_the_picture_size_is_told_with_and_without_a_threshold(page: str) -> None:
    told = html.unescape(re.sub(r"\s+", " ", page))
    assert "at 43 % of the computation and a change of 1.9 % (2.5 % is allowed)" in told
    assert "objects the teacher found" not in told  # a night from before it was looked at
    resolution = example_night().resolution.model_copy(
        update={"threshold": None, "points": (), "objects_allow": 0.6}
    )
    new = re.sub(r"\s+", " ", render_report(example_night(resolution=resolution), []))
    assert "teacher found stay large enough down to 60 % of the camera's size." in new
    assert "at 43 % of the computation." in new
    assert "is allowed" not in new
    full = resolution.model_copy(update={"scale": 1.0, "objects_allow": 1.0})
    new = re.sub(r"\s+", " ", render_report(example_night(resolution=full), []))
    assert "The objects the teacher found are already at the limit at full size." in new
    assert "No smaller size stayed" not in new


def test_labels_corrected_by_hand_have_their_line(page: str) -> None:
    night = example_night()
    assert beside_words(night) == ""
    assert "by hand" not in page
    train = night.train.model_copy(update={"corrected": 12})
    label = night.label.model_copy(update={"corrected": 3})
    both = example_night(train=train, label=label)
    line = (
        "12 of these images come from earlier nights, with labels corrected by hand; 3 of this "
        "night's own frames had been corrected by hand before, and those labels are used."
    )
    assert beside_words(both) == line
    assert html.unescape(render_report(both, [])).count(line) == 1
    alone = beside_words(example_night(label=label))
    assert alone.startswith("3 of this night's own frames had")


def test_what_people_found_of_the_teacher_has_its_line(page: str) -> None:
    assert "Is the teacher right?" not in page
    night = example_night()
    said = Agreement(frames=57, boxes=310, right=291, missed=12, low=0.904, high=0.967)
    told = render_report(night.changed(label=night.label.changed(agreement=said)), [])
    line = (
        "The teacher was right in 94 % of 310 boxes that were checked by hand in 57 frames drawn "
        "at random (95 % interval 90 to 97 %), and missed 12 objects there."
    )
    assert f"<b>Is the teacher right?</b> {line}" in told


def test_frames_that_only_gave_objects_are_told() -> None:
    night = example_night()
    train = night.train.model_copy(update={"givers": 1280})
    line = (
        "Objects from 1,280 further frames that the teacher had labelled were pasted into these "
        "images, each at its own place."
    )
    assert html.unescape(render_report(example_night(train=train), [])).count(line) == 1


def test_the_chart_of_counts_has_each_count_at_its_place() -> None:
    """Four frames; the teacher counts 0, 10, 20 and 10, the new model half as many."""
    points = [
        CountPoint(
            wall_time=datetime(2026, 11, 21, hour, tzinfo=UTC), teacher=n, before=99.0, after=n / 2
        )
        for hour, n in ((6, 0.0), (9, 10.0), (12, 20.0), (18, 10.0))
    ]
    drawn = str(charts.counts(points))
    teacher, new = (
        np.array(re.findall(r"(-?[\d.]+)[ ,](-?[\d.]+)", path), float)
        for path in (
            re.search(rf'<path[^>]*(?:d="([^"]+)"[^>]*class="line {name}"|'
                      rf'class="line {name}"[^>]*d="([^"]+)")', drawn)[0]  # type: ignore[index]
            for name in ("teacher", "new")
        )
    )  # fmt: skip
    assert len(teacher) == len(new) == 4
    assert teacher[:, 0] == pytest.approx(new[:, 0])
    across = (teacher[:, 0] - teacher[0, 0]) / (teacher[-1, 0] - teacher[0, 0])
    assert across == pytest.approx([0, 0.25, 0.5, 1], abs=0.01)
    height = teacher[0, 1] - teacher[:, 1]  # y points down; nobody is on the axis
    assert height / height[2] == pytest.approx([0, 0.5, 1, 0.5], abs=0.01)
    assert teacher[0, 1] - new[:, 1] == pytest.approx(height / 2, abs=0.2)
    assert "12:00:00: teacher 20, new 10" in drawn
    assert charts.counts(points[:1]) == charts.counts([]) == ""


def test_a_day_without_anybody_has_its_chart_too() -> None:
    nobody = [
        CountPoint(wall_time=datetime(2026, 11, 21, h, tzinfo=UTC), teacher=0, before=0, after=0)
        for h in (6, 9)
    ]
    assert "nan" not in (drawn := str(charts.counts(nobody)))
    assert drawn.count('class="line') == 4  # two lines and their names


def test_the_key_figures_are_json_without_the_long_lists(page: str) -> None:
    found = re.search(r'<pre tabindex="0">(.*?)</pre>', page, re.DOTALL)
    assert found is not None
    figures = json.loads(found[1].replace("&#34;", '"').replace("&#39;", "'"))

    assert figures["judge"]["after"]["score"] == {
        "metric": "mAP50", "value": 0.861, "interval": None, "higher_is_better": True,
    }  # fmt: skip
    assert figures["train"]["computation"] == 0.46
    assert "frames" not in figures["ingest"]


def test_figures_that_are_not_finite_become_null_in_the_json() -> None:
    page = render_report(empty_night(), [])

    assert "&#34;value&#34;: null" in page


def test_pictures_keep_to_their_budget_and_size(page: str) -> None:
    data = [base64.b64decode(text) for text in re.findall(r'base64,([^"]+)"', page)]

    assert sum(map(len, data)) <= pictures.BUDGET_BYTES
    for jpeg in data:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape[1] <= 480
        assert image.shape[0] / image.shape[1] == pytest.approx(720 / 1280, rel=0.02)


def test_a_noisy_picture_is_squeezed_and_a_small_one_not_blown_up() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    tiny = np.full((40, 60, 3), 128, np.uint8)

    assert len(pictures.encode_jpeg(noise, max_bytes=30_000)) <= 30_000
    data = np.frombuffer(pictures.encode_jpeg(tiny, max_bytes=9_000), np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (40, 60, 3)


def test_colours_survive_the_way_into_the_page() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 220

    jpeg = pictures.encode_jpeg(red, max_bytes=9_000)

    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert bgr[32, 32, 2] > 200
    assert bgr[32, 32, 0] < 20


def detections(*boxes: tuple[float, float, float, float], label: int = 0) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.8, np.float32),
        np.full(len(boxes), label, np.int64),
    )


def test_boxes_without_a_partner_are_marked() -> None:
    exhibit = Exhibit(
        image=np.zeros((90, 160, 3), np.uint8),
        frame=stored_frame(7, loss=1.5),
        disagreement=disagreement(7, missed=1, invented=1),
        drawing=tuple(
            drawing.boxes(
                detections((10, 10, 40, 40), (90, 50, 120, 80)),
                detections((11, 10, 41, 40), (60, 10, 80, 30)),
                CLASSES,
                width_px=160,
            )
        ),
    )

    (picture,) = pictures.draw_pictures([exhibit])

    drawn = str(picture.drawing)
    for kind in ("teacher", "teacher odd", "student", "student odd"):
        assert drawn.count(f'class="box {kind}"') == 1
    assert 'x="60.0" y="10.0" width="20.0" height="20.0" class="box teacher odd"' in drawn
    assert 'x="90.0" y="50.0" width="30.0" height="30.0" class="box student odd"' in drawn
    assert "person 0.80" in drawn
    assert (picture.time, picture.confidence_loss) == ("00:00:07", "1.50")


def test_a_picture_without_boxes_or_with_an_unknown_class_is_drawn() -> None:
    exhibit = Exhibit(
        image=np.zeros((90, 160, 3), np.uint8),
        frame=stored_frame(7, loss=1.5),
        disagreement=disagreement(7, missed=0, invented=1),
        drawing=tuple(
            drawing.boxes(
                detections((10, 10, 40, 40), label=9),
                Detections.empty(),
                CLASSES,
                width_px=160,
            )
        ),
    )

    (picture,) = pictures.draw_pictures([exhibit])

    assert "class 9 0.80" in str(picture.drawing)


def test_no_more_pictures_than_fit(exhibits: list[Exhibit]) -> None:
    assert len(pictures.draw_pictures([*exhibits, *exhibits])) == 24


def test_a_panel_puts_data_where_it_belongs() -> None:
    panel = svg.Panel(50, 10, 400, 200, (0, 10), (0, 4))

    assert panel.at(0, 0) == (50, 210)
    assert panel.at(10, 4) == (450, 10)
    assert panel.at(5, 1) == (250, 160)
    assert svg.Panel(50, 10, 400, 200, (1, 0), (0, 1)).at(1, 0) == (50, 210)
    assert svg.Panel(50, 10, 400, 200, (3, 3), (0, 1)).at(3, 0) == (250, 210)


def test_ticks_are_round_numbers_within_the_range() -> None:
    assert svg.ticks(0, 1, most=4) == [0, 0.25, 0.5, 0.75, 1.0]
    assert svg.ticks(0, 10_290, most=4) == [0, 5_000, 10_000]
    assert svg.ticks(0.4, 3.6, whole=True) == [1, 2, 3]
    assert svg.ticks(2, 2) == [2]


def test_time_ticks_are_round_hours() -> None:
    start = MIDNIGHT.timestamp()

    assert svg.time_ticks(start, start + 86_399) == [start + 14_400 * k for k in range(6)]
    assert svg.time_ticks(start + 61, start + 61) == [start + 61]
    week = svg.time_ticks(start, start + 7 * 86_400)
    assert len(week) == 8


def test_the_course_breaks_where_the_camera_was_away() -> None:
    drawn = str(charts.course(example_night().ingest.course))

    assert drawn.count('class="line new"') == 3  # the legend's and two stretches


def test_the_histogram_marks_where_survivors_begin() -> None:
    drawn = str(charts.histogram((0.0, 1.0, 2.0), (10, 5), survivors_from=1.0))

    assert drawn.count('class="bar plain"') == 2
    middle = svg.WIDTH - 12 - (svg.WIDTH - 54 - 12) / 2
    assert f'x1="{middle:.1f}"' in drawn
    assert "survivors" not in str(charts.histogram((0.0, 1.0), (3,), survivors_from=None))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (NAN, "–"),
        (0.5, "0.50"),
        (-0.25, "−0.25"),
        (-0.001, "0.00"),
        (1234.5, "1,234.50"),
    ],
)
def test_figures_in_words(value: float | None, expected: str) -> None:
    assert words.figure(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0.0 s"),
        (9.0, "9.0 s"),
        (9.96, "10 s"),
        (59.7, "1 min"),
        (125, "2 min 5 s"),
        (89_100, "24 h 45 min"),
        (200_000, "2 d 7 h"),
        (NAN, "–"),
    ],
)
def test_durations_in_words(seconds: float, expected: str) -> None:
    assert words.duration(seconds) == expected


def test_other_numbers_in_words() -> None:
    assert words.signed(0.149) == "+0.15"
    assert words.signed(0.001) == "0.00"
    assert words.count(1, "frame") == "1 frame"
    assert words.count(86_400, "frame") == "86,400 frames"
    assert words.percent(0.019) == "1.9 %"
    assert words.percent(1.0) == "100 %"
    assert words.short_seconds(0.0144) == "14 ms"
    assert words.short_seconds(0.00041) == "0.41 ms"
    assert words.short_seconds(0) == "–"
    assert words.times(6.0) == "6"


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(6.2, "6.2 times as much"), (1.0, "about the same"), (0.7, "cheaper: 70 %")],
)
def test_the_cost_in_words(ratio: float, expected: str) -> None:
    assert expected in read(render_report(example_night(cost_ratio=ratio), [])).text


def test_the_ledger_says_by_which_means_each_stage_worked() -> None:
    reader = Reader()
    reader.feed(render_report(example_night(), example_exhibits()))
    assert "cpu, lean" in reader.text
    assert "cpu, <" not in reader.text


def test_the_page_says_what_the_new_model_is_worth_on_earlier_days() -> None:
    few = {"frames": 48, "objects": 90}
    old, new = (accuracy(value, 0.5).changed(**few) for value in (0.812, 0.779))
    earlier = EarlierDays(
        days=3, before=old, after=new, difference_low=-0.061, difference_high=0.019
    )
    judge = example_judge(earlier=earlier)
    said = "0.81 → 0.78 on 48 control frames of 3 earlier days; the difference lies between "
    assert earlier_words(judge) == f"{said}−0.06 and +0.02 (95 %)"
    night = example_night().changed(judge=judge)
    assert f"On earlier days: {said}" in read(render_report(night, [])).text
    assert '"days": 3' in render_report(night, []).replace("&#34;", '"')
    assert "On earlier days" not in read(render_report(example_night(), [])).text

    # A record of before has no such figure
    stored = judge.model_dump(mode="json")
    del stored["earlier"]
    assert earlier_words(JudgeRecord.model_validate(stored)) == ""

    # Without an object there is nothing to say
    nothing = {"before": old.changed(objects=0), "after": new.changed(objects=0)}
    assert earlier_words(example_judge(earlier=earlier.changed(**nothing))) == ""


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((10.0, 17.0, 15.0), "is 1.67 off on average, the new model 0.67."),
        ((16.0, 13.0, 10.0), "the new model 4.33: do not rely on its count yet."),
    ],
)
def test_a_count_is_compared_with_the_usual_number(after: tuple[float, ...], said: str) -> None:
    """By hand: 11, 16 and 15 animals; who says 15 is 4, 1 and 0 off."""
    hours = zip((11.0, 16.0, 15.0), after, strict=True)
    counts = [
        CountPoint(wall_time=datetime(2026, 3, 8, 7 + k, tzinfo=UTC), teacher=t, before=0, after=a)
        for k, (t, a) in enumerate(hours)
    ]
    words = usual_number_words(example_judge(counts=counts))
    assert words.startswith("Who says 15 on each of these frames")
    assert words.endswith(said)
    assert usual_number_words(example_judge()) == ""


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("/srv/cams/secret customer/yard.mp4", "yard.mp4"),
        ("recordings:/srv/nvr/media", "recordings:media"),
        ("file:///srv/cams/yard.mp4", "file:yard.mp4"),
        (r"C:\cams\yard\a.mp4", "a.mp4"),
        ("~/cams/yard", "yard"),
        ("/", "/"),
        ("/yard.mp4", "yard.mp4"),
        ("recordings:/nvr", "recordings:nvr"),
        ("clips/yard.mp4", "clips/yard.mp4"),
        ("rtsp://me:hunter2@192.0.2.1/srv/stream", "rtsp://***@192.0.2.1/srv/stream"),
        ("synthetic://street?seed=3", "synthetic://street?seed=3"),
    ],
)
def test_a_report_names_a_local_source_without_its_folders(source: str, shown: str) -> None:
    """It is sent around, and where things lie on this machine concerns nobody."""
    pages = (
        render_report(example_night(source=source), []),
        render_unusable(unusable_night().changed(source=source), []),
    )
    for page in pages:
        told = html.unescape(page)
        assert f">{shown}<" in told
        assert "/srv/cams" not in told
        assert "/srv/nvr" not in told
        assert "hunter2" not in told
