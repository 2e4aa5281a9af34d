"""The files hold together; and each check complains of a copy in which one thing is wrong."""

from __future__ import annotations

import pytest

from tests.bicep import checks
from tests.bicep.project import changed, parsed


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_nobody_complains_of_the_files(check):
    assert list(check(parsed())) == []


WRONG = [
    ("modules_are_called", "main.bicep", "    sku: pageSku\n", "", "sku is required and not given"),
    ("modules_are_called", "main.bicep", "    sku: pageSku", "    skew: pageSku", "no parameter skew"),
    ("modules_are_called", "main.bicep", "modules/page.bicep", "modules/pages.bicep", "there is no"),
    ("every_symbol", "main.bicep", "image: image", "image: picture", "nothing is called picture"),
    ("every_symbol", "main.bicep", "take(unique", "took(unique", "no function is called took"),
    ("every_symbol", "main.bicep", "page.outputs.origin", "page.outputs.address", "puts out no address"),
    ("every_symbol", "modules/network.bicep", "names[index]", "names[at]", "nothing is called at"),
    ("every_symbol", "main.bicep", "  dependsOn: [\n    voice\n", "  dependsOn: [\n    vox\n", "called vox"),
    ("every_symbol", "modules/space.bicep", ".listKeys()", ".listSecrets()", "called listSecrets"),
    (
        "declared_in_vain",
        "modules/page.bicep",
        "param sku",
        "param size int\nparam sku",
        "size is never used",
    ),
    ("declared_twice", "modules/page.bicep", "param sku", "param name string\nparam sku", "declared twice"),
    ("decorators", "modules/vault.bicep", "@secure()", "@secret()", "there is no decorator secret"),
    ("versions", "modules/page.bicep", "@2024-04-01", "@2024-04-31", "is not in the table"),
    ("versions", "modules/page.bicep", "Web/staticSites", "Web/staticPages", "is not in the table"),
    ("roles", "modules/reads.bicep", "4633458b-17de", "4633458b-17df", "no role of the table"),
    ("no_secret_is", "main.bicep", "pagerDutyUrl string = ''", "pagerDutyUrl string = 'x'", "has a value"),
    ("no_secret_is", "main.bicep", "LIMITS: 'on'", f"LIMITS: '{'0a' * 32}'", "looks like a secret"),
    ("called_a_secret", "main.bicep", "@secure()\nparam zepApiKey", "param zepApiKey", "zepApiKey is not"),
    ("called_a_secret", "modules/vault.bicep", "@secure()\n", "", "secrets is not secure"),
    ("secrets_stay", "main.bicep", "string = brokerUrl", "string = zepApiKey", "tells a secret"),
    ("secrets_stay", "main.bicep", "string = brokerUrl", "string = brokerUser", "tells a secret"),
    ("secrets_stay", "main.bicep", "ZEP_API_URL: zepUrl", "ZEP_API_URL: zepApiKey", "is not secure"),
    ("secrets_stay", "modules/database.bicep", "@secure()\n", "", "password gets a secret"),
    ("parameter_files", "env/test.bicepparam", "param cpu = '0.5'", "", "cpu is required"),
    ("parameter_files", "env/test.bicepparam", "param cpu", "param cores", "no parameter cores"),
    ("parameter_files", "env/test.bicepparam", "minReplicas = 0", "minReplicas = '0'", "must be int"),
    ("parameter_files", "env/test.bicepparam", "'test'", "'testing'", "must not be 'testing'"),
    ("parameter_files", "env/test.bicepparam", "retentionDays = 1", "retentionDays = 0", "beyond minValue"),
    ("parameter_files", "env/test.bicepparam", "../main.bicep", "../other.bicep", "is for ../other.bicep"),
    (
        "parameter_files",
        "env/test.bicepparam",
        "zepApiKey = readEnvironmentVariable('ZEP_API_KEY')",
        "zepApiKey = 'abc'",
        "must come from the shell",
    ),
]


@pytest.mark.parametrize(("check", "path", "old", "new", "complaint"), WRONG)
def test_a_check_complains_of_what_is_wrong(check, path, old, new, complaint):
    (found,) = [each for each in checks.CHECKS if check in each.__name__]
    complaints = list(found(changed(path, old, new)))
    assert any(complaint in each for each in complaints), complaints
