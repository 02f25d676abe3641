"""One night of one camera as a self-contained web page: records and pictures in, HTML out."""

from culling_pipeline.report.page import render_report
from culling_pipeline.report.pictures import Exhibit
from culling_pipeline.report.untrained import Glimpse, render_untrained

__all__ = ["Exhibit", "Glimpse", "render_report", "render_untrained"]
