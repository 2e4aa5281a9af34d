"""The broker: hands a browser a short-lived token for one call and never touches audio.

Read in this order: routes, opening, minting/rows, minting/chain, minting/strategies, session, agents.
"""
