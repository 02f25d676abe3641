"""A synthetic street with known boxes: scene, traffic, light and the renderer that joins them."""
