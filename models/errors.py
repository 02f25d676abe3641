"""What can go wrong with a model: the base of all its errors."""


class ModelError(Exception):
    """Base of everything that can go wrong with a model or its weights."""


class WeightsError(ModelError):
    """Weights could not be loaded: missing, damaged, or of another architecture."""
