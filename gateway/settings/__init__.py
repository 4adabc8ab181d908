"""Reads the settings files and the environment into one frozen Settings object. All mistakes are reported together."""

from gateway.settings.load import load
from gateway.settings.mistakes import BadSettings, Problem
from gateway.settings.record import Access, Lifespan, Settings

__all__ = ["Access", "BadSettings", "Lifespan", "Problem", "Settings", "load"]
