"""A Faster R-CNN arranged for scoring on a CPU: the same weights, the same boxes, sooner."""
