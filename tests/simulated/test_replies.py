"""What the simulated model says."""

from tests.simulator.replies import greeting, reply_to


def test_the_agent_greets_by_name():
    assert greeting("You are Elena, who listens.").startswith("Hello, I am Elena.")
    assert reply_to("please tell me your name", "You are Marcus.") == "My name is Marcus."


def test_a_remembered_fact_is_quoted_from_the_fenced_block():
    instructions = "You are Elena.\n<memory>\n- Lives in Paris with the family.\n</memory>"
    assert reply_to("What do you remember about me", instructions) == (
        "I remember: Lives in Paris with the family."
    )
    assert reply_to("what do you remember", "You are Elena.") == "I do not remember anything yet."
