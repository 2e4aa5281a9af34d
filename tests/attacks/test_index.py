"""Every attack of the threat list, by its number, and the tests that show what comes of it.

A number is in the name of a test, or is listed here with where it is shown elsewhere. Two answers differ from
the threat list: another role than a person's or an assistant's (16) is 422 ``invalid-request``, as every
body is that does not say what it must; and a repeat with another text (15) is 202 with ``conflict`` for that
turn, so that its neighbours are kept.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NUMBERED = re.compile(r"test_(?:attack_)?(\d\d)_")
ATTACKS = {
    1: "no Authorization",
    2: "algorithms that prove nothing",
    3: "a token that brings its own key",
    4: "another audience, issuer, tenant or version",
    5: "times beyond their edges",
    6: "a flood of made-up key ids",
    7: "keys that roll over, and an outage of them",
    8: "a forged X-MS-CLIENT-PRINCIPAL",
    9: "development's doors where people's data is",
    10: "what only looks like a development token",
    11: "no role that may call",
    12: "a grant or token used for something else",
    13: "a changed grant",
    14: "a captured post, a thousand times",
    15: "the same turn with another text",
    16: "a forged speaker",
    17: "instructions in what is remembered",
    18: "SQL, FTS and odd text",
    19: "a path in an id",
    20: "an address that is not what it looks like",
    21: "an audit that was changed",
    22: "an audit that is away",
    23: "secrets and transcripts in logs",
    24: "an upstream that echoes our key",
    25: "a stored token",
    26: "a foreign page",
    27: "somebody else's data",
    28: "what comes late after an erasure",
    29: "a shared computer",
    30: "bodies that hurt",
    31: "token farming",
    32: "a retry storm",
    33: "absurd wishes to wait",
    34: "whatever hangs",
    35: "garbage from upstream",
    36: "no disk, no database",
    37: "a turn that no memory takes",
    38: "a clock that jumps",
    39: "smuggling and made-up addresses",
    40: "enrichment taken over",
    41: "a script in the page",
    42: "a dependency with a hole",
}
ELSEWHERE: dict[int, list[str]] = {
    7: [
        "tests/broker/test_entra.py::test_keys_roll_over_again_and_again_under_load_and_nobody_is_refused",
        "tests/broker/test_entra.py::test_key_sets_that_are_away_for_two_hours_cost_nobody_their_sign_in",
    ],
    13: [
        "tests/enrichment/test_revoking.py"
        "::test_a_page_whose_grant_was_revoked_gets_401_and_with_a_new_one_goes_on",
    ],
    18: [
        "tests/enrichment/test_bad_input.py::test_a_turn_may_be_anything_and_is_kept_or_refused",
        "tests/enrichment/test_bad_input.py::test_a_search_may_ask_for_anything_and_finds_nothing_of_others",
        "tests/enrichment/test_outboxes.py::test_whatever_was_said_is_kept_as_it_is",
        "tests/enrichment/test_embedded_memory.py::test_no_text_can_break_the_search",
    ],
    19: [
        "tests/enrichment/test_bad_input.py::test_a_path_leads_nowhere_else",
        "tests/enrichment/test_turns.py::test_a_session_id_that_could_be_a_path_is_refused",
        "tests/enrichment/test_posting.py::test_odd_session_ids_in_a_path_find_nothing",
    ],
    20: ["tests/broker/test_upstream.py::test_a_redirect_is_an_answer_and_the_key_goes_nowhere_else"],
    21: [
        "tests/broker/audit/test_verifying.py::test_a_changed_byte_is_found_in_its_line",
        "tests/broker/audit/test_verifying.py::test_a_deleted_line_is_found_where_it_is_missing",
        "tests/broker/audit/test_verifying.py::test_another_order_is_found",
        "tests/broker/audit/test_verifying.py::test_a_cut_tail_is_found_by_its_anchor",
        "tests/broker/audit/test_postgres.py::test_what_its_owner_does_all_the_same_is_found",
    ],
    22: [
        "tests/broker/test_on_record.py::test_without_a_record_there_is_no_token_and_azure_is_not_asked",
        "tests/broker/test_on_record.py::test_a_disk_that_fails_ends_minting_until_it_is_well",
        "tests/broker/test_on_record.py::test_a_database_that_is_away_ends_minting",
        "tests/enrichment/test_on_record.py::test_what_cannot_be_put_on_record_is_not_erased",
    ],
    23: [
        "tests/broker/test_problems.py::test_no_secret_is_in_any_log",
        "tests/broker/test_on_record.py::test_no_secret_and_nothing_that_was_said_is_in_it",
        "tests/broker/test_telemetry.py::test_a_field_that_is_not_allowed_is_dropped",
        "tests/enrichment/test_delivery.py::test_what_a_bug_s_error_says_is_kept_nowhere",
        "tests/web/test_call.py::test_no_secret_stays_in_the_page",
    ],
    28: [
        "tests/enrichment/test_erasure.py::test_a_delivery_in_flight_cannot_bring_back_what_is_erased",
        "tests/enrichment/test_replicas.py::test_an_erasure_at_one_replica_refuses_posts_at_another",
        "tests/web/modules/test_outbox_failures.py"
        "::test_of_an_erased_session_nothing_is_kept_in_the_browser_either",
    ],
    29: [
        "tests/web/modules/test_outbox_people.py"
        "::test_somebody_else_s_turns_are_left_alone_and_the_person_s_own_are_sent",
        "tests/web/modules/test_outbox_people.py::test_somebody_else_s_turns_expire_after_a_week",
    ],
    32: [
        "tests/broker/test_chain.py::test_with_everything_dark_most_callers_are_told_at_once_and_few_keep_trying",
        "tests/test_fault_drill.py::test_the_short_form_finds_every_caller_a_token_and_nobody_one_in_the_dark",
    ],
    33: ["tests/broker/test_attempt.py::test_a_wish_to_wait_is_understood_and_clamped"],
    34: ["tests/broker/test_identity.py::test_an_endpoint_that_never_answers_is_given_up_and_asked_again"],
    35: ["tests/broker/test_upstream.py::test_an_azure_that_speaks_rubbish_is_a_problem_and_no_bug"],
    36: [
        "tests/enrichment/test_outbox_postgres.py"
        "::test_nothing_acknowledged_is_lost_when_the_server_stops_and_starts",
        "tests/enrichment/test_outbox_postgres.py"
        "::test_while_the_server_is_away_everything_fails_in_time_and_then_works_again",
        "tests/enrichment/test_outbox.py::test_a_full_disk_is_an_error_and_what_was_kept_is_kept",
    ],
    37: ["tests/enrichment/test_delivery.py::test_poison_parks_alone"],
    38: [
        "tests/broker/test_limit_rules.py::test_a_clock_that_went_back_locks_nobody_out",
        "tests/enrichment/test_outbox_postgres.py::test_without_a_clock_of_ours_the_database_s_counts",
    ],
    41: ["tests/web/modules/test_page.py::test_no_token_reaches_the_document_or_storage"],
}
NO_TEST = {42: "what CI does with the lock file: pip-audit and an SBOM"}


@cache
def names_in(path: Path) -> frozenset[str]:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    names = (node.name for node in ast.parse(path.read_text()).body if isinstance(node, functions))
    return frozenset(name for name in names if name.startswith("test_"))


def numbered() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for name in names_in(path):
            if match := NUMBERED.match(name):
                found.setdefault(int(match[1]), []).append(name)
    return found


def test_the_list_is_whole():
    assert list(ATTACKS) == list(range(1, 43))
    assert (ELSEWHERE.keys() | NO_TEST.keys() | numbered().keys()) == ATTACKS.keys()
    assert not NO_TEST.keys() & (ELSEWHERE.keys() | numbered().keys())


@pytest.mark.parametrize("number", ELSEWHERE, ids=lambda number: f"{number:02} {ATTACKS[number]}")
def test_what_is_shown_elsewhere_is_there(number):
    for nodeid in ELSEWHERE[number]:
        path, _, name = nodeid.partition("::")
        assert name in names_in(ROOT / path), nodeid
