"""The first page: all cameras."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from jobs.cameras.reports import report_path
from jobs.pages.house import house_of
from jobs.pages.templating import render


def cameras(request: Request) -> Response:
    """GET /."""
    house = house_of(request)
    config = house.config
    nights = house.store.latest_nights()
    rows = [(name, nights.get(name)) for name in config.cameras]
    firsts = {group: nights.get(names[0]) for group, names in config.groups.items()}
    groups = [
        (group, night.run_id)
        for group, night in firsts.items()
        if night is not None and report_path(config, group, night.run_id).is_file()
    ]
    return render(request, "cameras.html", rows=rows, groups=groups)
