"""What runs is the form that was chosen, all of it. test_existing.py runs this on the compiled form."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import pytest

from gateway.process.compiled import MODULES
from tests import FORM
from tests.compiled.forms import PATIENCE
from tests.support import forks

pytestmark = pytest.mark.timeout(PATIENCE)
CHOSEN = ".so" if FORM.is_compiled else ".py"
SAY = """
import sys
from pathlib import Path
from gateway.process.compiled import MODULES
print(*{Path(sys.modules[name].__file__).suffix for name in MODULES})
"""


def test_each_module_has_the_chosen_form_in_this_process() -> None:
    assert {Path(str(import_module(name).__file__)).suffix for name in MODULES} == {CHOSEN}


def test_each_module_has_the_chosen_form_in_the_gateways_that_tests_start() -> None:
    assert forks.run(["-c", SAY], os.environ).stdout.split() == [CHOSEN]
