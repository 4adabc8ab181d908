"""The tests. They run the data path as Python, or in the compiled form that GATEWAY_COMPILED names."""

from __future__ import annotations

import os

from gateway.process.compiled import OFF, VARIABLE, use_compiled

FORM = use_compiled({VARIABLE: OFF, **os.environ})  # here, before anything imports what may be compiled
