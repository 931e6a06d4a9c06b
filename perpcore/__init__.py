"""perpcore: the ⊥-loss of Terpstra et al. 2022, and the experiments around it."""

__version__ = "0.1.0"

from perpcore.losses import LOSSES, PerpLoss, perpendicular

__all__ = ["LOSSES", "PerpLoss", "perpendicular", "__version__"]
