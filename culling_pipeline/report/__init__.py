"""One night of one camera as a self-contained web page: records and pictures in, HTML out."""

from culling_pipeline.report.page import render_report
from culling_pipeline.report.pictures import Exhibit

__all__ = ["Exhibit", "render_report"]
