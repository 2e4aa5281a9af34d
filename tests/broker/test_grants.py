"""Grants: what proves one, and everything that does not."""

from __future__ import annotations

from itertools import pairwise, product

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from broker.edge.grants import (
    LIFETIME_S,
    BadGrant,
    GrantSigner,
    UnknownKey,
    keys_of,
    load_public_keys,
    load_signing_key,
    read_grant,
)
from tests.clocks import Clock

KEY = Ed25519PrivateKey.generate()
CLOCK = Clock()
SIGNER = GrantSigner(KEY, environment="uat", now=CLOCK)
KEYS = keys_of(SIGNER.jwks())
KID = next(iter(KEYS))
GOOD, _ = SIGNER.sign(person="tid:oid", session_id="s-1", agent_id="elena")


def read(compact, *, environment="uat", now=CLOCK):
    return read_grant(compact, KEYS, environment=environment, now=now)


def signed(key=KEY, algorithm="EdDSA", headers=(), **claims):
    """A grant of ours with something changed; None leaves a claim out."""
    usual = jwt.decode(GOOD, options={"verify_signature": False}) | claims
    kept = {name: value for name, value in usual.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": KID, "typ": "enrich+jwt"} | dict(headers))


def test_a_grant_says_whose_turns_go_into_which_session():
    grant = read(GOOD)
    assert (grant.person, grant.session_id, grant.agent_id) == ("tid:oid", "s-1", "elena")
    assert grant.expires_at == int(CLOCK()) + LIFETIME_S


@pytest.mark.parametrize(("later_s", "holds"), [(0, True), (LIFETIME_S + 59, True), (LIFETIME_S + 60, False)])
def test_it_holds_for_two_hours_and_a_minute_of_leeway(later_s, holds):
    def now():
        return CLOCK() + later_s

    if holds:
        read(GOOD, now=now)
    else:
        with pytest.raises(BadGrant, match="expired"):
            read(GOOD, now=now)


@pytest.mark.parametrize(
    "forged",
    [
        signed(aud="enrich:production"),
        signed(iss="somebody"),
        signed(exp=int(CLOCK()) + 10 * 365 * 86400),
        signed(nbf=int(CLOCK()) + 3600),
        signed(iat=int(CLOCK()) + 3600, exp=int(CLOCK()) + 7200),
        signed(exp="never"),
        signed(exp=True),
        signed(sub=None),
        signed(sid=None),
        signed(jti=None),
        signed(headers={"typ": "JWT"}),
        signed(headers={"typ": "at+jwt"}),
        signed(headers={"kid": ""}).replace(".", "..", 1),
        signed(key=Ed25519PrivateKey.generate()),
        signed(key="k" * 64, algorithm="HS256"),
        signed(key=None, algorithm="none"),
        signed(headers={"crit": ["b64"]}),
        "",
        "a.b.c",
        "…",
    ],
)
def test_what_is_not_wholly_ours_is_not_a_grant(forged):
    with pytest.raises(BadGrant):
        read(forged)


def test_the_public_key_is_no_secret_to_sign_with():
    with pytest.raises(BadGrant):
        read(signed(key=KEY.public_key().public_bytes_raw(), algorithm="HS256"))


def test_a_key_we_do_not_have_is_named_so_that_it_can_be_fetched():
    with pytest.raises(UnknownKey) as caught:
        read(signed(headers={"kid": "next-year"}))
    assert caught.value.kid == "next-year"


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("ABCxyz019-_."))
def test_no_changed_character_survives(place, char):
    changed = GOOD[:place] + char + GOOD[place + 1 :]
    try:
        grant = read(changed)
    except (BadGrant, UnknownKey):
        return
    # The last character of a base64url part holds spare bits: another spelling of the same bytes.
    assert grant == read(GOOD)


def test_a_key_given_as_pem_is_that_key():
    pem = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    assert GrantSigner(load_signing_key(pem), environment="uat").jwks() == SIGNER.jwks()


def pem_of(key):
    """The public half."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def test_while_keys_are_changed_every_replica_s_set_proves_every_replica_s_grants():
    """Three deployments, each rolling: the next key is published, signs, and the last one is forgotten."""
    last, following = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    deployments = [(last, []), (last, [following]), (following, [last]), (following, [])]
    for before, after in pairwise(deployments):
        replicas = [
            GrantSigner(key, others=others_of(*others), environment="uat", now=CLOCK)
            for key, others in (before, after)
        ]
        for signing, asked in product(replicas, replicas):
            compact, _ = signing.sign(person="tid:oid", session_id="s-1", agent_id="elena")
            read_grant(compact, keys_of(asked.jwks()), environment="uat", now=CLOCK)


def others_of(*keys):
    return load_public_keys("".join(pem_of(key) for key in keys)) if keys else []


def test_a_key_that_is_published_twice_stands_in_the_set_once():
    jwks = GrantSigner(KEY, others=others_of(KEY), environment="uat").jwks()
    assert jwks == SIGNER.jwks()


PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
RSA = pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048))


@pytest.mark.parametrize("pem", ["", "rubbish", PRIVATE, pem_of(KEY) + PRIVATE, RSA, pem_of(KEY) * 3])
def test_only_public_keys_of_our_kind_are_published(pem):
    with pytest.raises(ValueError, match="Ed25519 public keys"):
        load_public_keys(pem)


def test_other_kinds_of_keys_in_a_set_are_passed_over():
    jwks = {"keys": [{"kty": "RSA", "n": "x", "kid": "r"}, *SIGNER.jwks()["keys"]]}
    assert list(keys_of(jwks)) == [KID]
    for rubbish in ({}, {"keys": None}, {"keys": [{}]}, []):
        with pytest.raises(ValueError, match="Key Set"):
            keys_of(rubbish)
