"""OtiumWork Gateway: signs people in and forwards what is allowed."""

__version__ = "0.1.0"
