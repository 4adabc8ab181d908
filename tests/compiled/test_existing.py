"""The tests of the data path pass on the compiled form as well. A chosen part runs here: all of them take minutes.

After `GATEWAY_COMPILED=/a/folder make compile`, `GATEWAY_COMPILED=/a/folder make test` runs all tests on it.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gateway.process.compiled import VARIABLE
from tests.compiled.forms import PATIENCE, ROOT, compiled_modules

CHOSEN = (
    *("tests/wire", "tests/edge", "tests/policy", "tests/threats/test_parsing.py", "tests/observe/test_access_log.py"),
    *("tests/proxy/test_response.py", "tests/proxy/test_identity.py", "tests/proxy/test_relay.py"),
    "tests/compiled/test_form.py",
)


@pytest.mark.timeout(2 * PATIENCE)
def test_the_tests_of_the_data_path_pass_on_compiled_modules() -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CHOSEN]
    environ[VARIABLE] = str(compiled_modules())
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout[-3_000:]
    assert int(done.stdout.split(" passed")[0].split()[-1]) > 1_000
