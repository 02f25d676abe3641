"""The routes of all pages that change something about a camera, or add one."""

from __future__ import annotations

from starlette.routing import Route

from jobs.pages.adding import add_camera, add_picture, added_look
from jobs.pages.labels import labels, labels_picture
from jobs.pages.masks import masks, masks_picture
from jobs.pages.trying import try_it
from jobs.pages.versions import asked, pin, retrain, undo_use, use, versions

CHANGES = [
    Route("/add", add_camera, methods=["GET", "POST"]),
    Route("/add/{look}.jpg", add_picture),
    Route("/add/{look}", added_look, methods=["GET", "POST"]),
    Route("/camera/{camera}/labels", labels, methods=["GET", "POST"]),
    Route("/camera/{camera}/labels/{run_id}/{frame}.jpg", labels_picture),
    Route("/camera/{camera}/masks", masks, methods=["GET", "POST"]),
    Route("/camera/{camera}/masks.jpg", masks_picture),
    Route("/camera/{camera}/versions", versions),
    Route("/camera/{camera}/use", use, methods=["POST"]),
    Route("/camera/{camera}/undo", undo_use, methods=["POST"]),
    Route("/camera/{camera}/pin", pin, methods=["POST"]),
    Route("/camera/{camera}/retrain", retrain, methods=["POST"]),
    Route("/camera/{camera}/asked", asked),
    Route("/try/{camera}", try_it, methods=["GET", "POST"]),
]
