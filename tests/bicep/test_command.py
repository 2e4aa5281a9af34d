"""What `make check` runs says what is wrong with the files, and with what they make of an environment."""

from __future__ import annotations

import pytest

from tests.bicep.__main__ import problems
from tests.bicep.project import changed, parsed


def test_of_files_that_hold_together_nothing_is_said():
    assert list(problems(parsed())) == []


@pytest.mark.parametrize(
    ("path", "old", "new", "told"),
    [
        ("main.bicep", "image: image", "image: picture", "nothing is called picture"),
        ("main.bicep", "LOG_LEVEL: logLevel", "LOG_LEVELS: logLevel", "uat: broker reads no LOG_LEVELS"),
        ("modules/app.bicep", "allowedOrigins:", "origins:", "containerApps has no corsPolicy.origins"),
    ],
)
def test_what_is_wrong_is_told(path, old, new, told):
    assert any(told in each for each in problems(changed(path, old, new)))
