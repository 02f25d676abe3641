"""Whether the camera's data has drifted and whether its view has changed."""
