"""How each peer is started, as its documentation has it. Each runs in the peer's environment, not in ours."""
