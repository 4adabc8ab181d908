"""Files and environment become one frozen Settings object; every mistake is reported at once, by file and key."""

from gateway.settings.load import load
from gateway.settings.mistakes import BadSettings, Problem
from gateway.settings.record import Access, Lifespan, Settings

__all__ = ["Access", "BadSettings", "Lifespan", "Problem", "Settings", "load"]
