"""Login tokens: which are valid, and the attacks that are known against them."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt import algorithms

from rtdemo.errors import SettingError
from rtdemo.settings.settings import Settings, load
from rtdemo.web.identity import TokenError
from rtdemo.web.tokens import LAST_EXPIRY, LEEWAY_S, MAX_TOKEN_LENGTH, TokenVerifier, load_verifier
from tests.web.login_tokens import HOUR_S, SECRET, token

RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
KEYS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "RS256": (RSA, algorithms.RSAAlgorithm.to_jwk),
    "ES256": (EC, algorithms.ECAlgorithm.to_jwk),
    "EdDSA": (ED, algorithms.OKPAlgorithm.to_jwk),
}


def verifier(**settings: Any) -> TokenVerifier:
    made = load_verifier(Settings(**{"secret": SECRET, **settings}))
    assert made is not None
    return made


def refusal(given: str, by: TokenVerifier | None = None) -> str:
    with pytest.raises(TokenError) as caught:
        (by or verifier()).verify(given)
    return str(caught.value)


def stable(_value: object) -> str:
    """Return the same id in each process of a run: a token has the time of its making."""
    return "case"


def b64(content: object) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def jwks(tmp_path: Path) -> str:
    """A file with one public key of each kind, and one that encrypts."""
    path = tmp_path / "keys.json"
    keys = [
        {**to_jwk(key.public_key(), as_dict=True), "kid": name} for name, (key, to_jwk) in KEYS.items()
    ]
    encrypts = {**keys[0], "use": "enc", "alg": "RSA-OAEP", "kid": "encrypts"}
    path.write_text(json.dumps({"keys": [encrypts, *keys]}))
    return str(path)


def test_valid_token_names_the_user_until_it_expires() -> None:
    """The connection lasts as long as another one would be accepted."""
    before = int(time.time())
    identity = verifier().verify(token("ann"))
    assert identity.user == "ann"
    assert identity.expires is not None
    assert before + HOUR_S <= identity.expires - LEEWAY_S <= before + HOUR_S + 60


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (token(key="another secret, which is long enough too"), "another key"),
        (token(seconds=-60), "has expired"),
        (token(nbf=int(time.time()) + HOUR_S), "not valid yet"),
        (token(iat=int(time.time()) + HOUR_S), "not valid yet"),
        (token(exp=None), "exp and sub"),
        (token(None), "exp and sub"),
        (token(7), "sub"),
        (token(""), "sub"),
        (token("   "), "sub"),
        (token("ann\nbob"), "printable"),
        (token("x" * 201), "200"),
        (token(aud="another service"), "audience"),
        (token(exp=float("inf")), "not a JSON Web Token"),
        (token(exp=float("nan")), "not a JSON Web Token"),
        (token(exp=True), "expired"),
        (token(exp="never"), "not a JSON Web Token"),
        (token(exp=" 9_999_999_999 "), "exp is not a number"),
        (token(algorithm="HS512"), "another algorithm"),
        (token(algorithm="none", key=None), "another algorithm"),
    ],
    ids=stable,
)
def test_token_that_is_not_valid_is_refused_with_the_reason(given: str, words: str) -> None:
    """The reason has nothing of the token."""
    said = refusal(given)
    assert words in said
    assert given not in said
    assert given.split(".")[2] == "" or given.split(".")[2] not in said


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
def test_unsigned_token_is_refused(name: str) -> None:
    """However the head spells that there is no signature."""
    claims = {"sub": "ann", "exp": int(time.time()) + 60}
    refusal(f"{b64({'alg': name, 'typ': 'JWT'})}.{b64(claims)}.")
    signature = token().rpartition(".")[2]
    refusal(f"{b64({'alg': name, 'typ': 'JWT'})}.{b64(claims)}.{signature}")


@pytest.mark.parametrize("algorithm", KEYS)
def test_each_kind_of_public_key(jwks: str, algorithm: str) -> None:
    """With and without the key's id in the token; a token of a foreign key with this id is refused."""
    by, key = verifier(secret="", jwks=jwks), KEYS[algorithm][0]
    for headers in ({"kid": algorithm}, None):
        assert by.verify(token(key=key, algorithm=algorithm, headers=headers)).user == "ann"
    refusal(token(key=OTHER_RSA, algorithm="RS256", headers={"kid": algorithm}), by)
    refusal(token(key=key, algorithm=algorithm, headers={"kid": "encrypts"}), by)


def test_public_key_is_no_secret(jwks: str) -> None:
    """The confusion of algorithms: a token signed by HS256 with the public key as the secret."""
    by = verifier(secret="", jwks=jwks)
    for public in (
        RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        Path(jwks).read_bytes(),
    ):
        for head in ({"alg": "HS256"}, {"alg": "HS256", "kid": "RS256"}):
            signed = f"{b64(head)}.{b64({'sub': 'ann', 'exp': int(time.time()) + 60})}"
            mac = hmac.new(public, signed.encode(), sha256).digest()
            assert "another algorithm" in refusal(f"{signed}.{b64(mac)}", by)


def test_key_that_a_token_brings_along_is_not_used(jwks: str) -> None:
    """The head's `jwk`, `jku` and `x5u` are the sender's own words (RFC 8725 section 3.10)."""
    by = verifier(secret="", jwks=jwks)
    own = algorithms.RSAAlgorithm.to_jwk(OTHER_RSA.public_key(), as_dict=True)
    for headers in ({"jwk": own}, {"jku": "http://127.0.0.1:9/keys"}, {"x5u": "http://127.0.0.1:9/"}):
        assert "another key" in refusal(token(key=OTHER_RSA, algorithm="RS256", headers=headers), by)


def test_token_must_name_the_audience() -> None:
    """A token for this audience is valid; one for another, or for none, is not."""
    by = verifier(audience="rtdemo")
    assert by.verify(token(aud="rtdemo")).user == "ann"
    assert by.verify(token(aud=["x", "rtdemo"])).user == "ann"
    assert "another audience" in refusal(token(aud="x"), by)
    assert "aud if the server has --audience" in refusal(token(), by)


def test_long_token_is_refused_with_its_bound() -> None:
    """A provider may add a claim for each of a user's groups."""
    assert f"over {MAX_TOKEN_LENGTH} characters" in refusal(token(groups=["group"] * 1000))
    assert verifier().verify(token(groups=["group"] * 400)).user == "ann"


@pytest.mark.parametrize("exp", ["1e300", "9" * 4000, "4503599627370497.5"])
def test_far_expiry_is_a_time(exp: str) -> None:
    """However large the number is."""
    claims = f'{{"sub": "ann", "exp": {exp}}}'
    signed = f"{b64({'alg': 'HS256'})}.{b64(claims.encode())}"
    mac = hmac.new(SECRET.encode(), signed.encode(), sha256).digest()
    assert verifier().verify(f"{signed}.{b64(mac)}") == ("ann", LAST_EXPIRY + LEEWAY_S)


@pytest.mark.parametrize(
    "given",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "x" * (MAX_TOKEN_LENGTH + 1),
        "\udc80.\udcff.x",
        "é.é.é",
        "\0.\0.\0",
        f"{b64([])}.{b64({})}.",
        f"{b64({'alg': 'HS256', 'kid': 7})}.{b64({})}.x",
        f"{b64({'alg': ['HS256']})}.{b64({})}.x",
        f"{b64(b'[' * 3000)}.{b64(b'{')}.x",
        token()[:-1],
        token().replace(".", ".\n", 1),
    ],
    ids=stable,
)
def test_odd_bytes_are_no_token(given: str) -> None:
    """Whatever they are, they are refused with one line, and raise nothing else."""
    assert "\n" not in refusal(given)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: f"{b64(raw)}.{b64(raw)}.x"))
def test_any_text_is_refused(text: str) -> None:
    """And it raises nothing else."""
    refusal(text)


@given(
    st.dictionaries(
        st.sampled_from(["sub", "exp", "nbf", "iat", "aud", "iss", "jti"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=9)
        | st.lists(st.text(max_size=3)),
    )
)
def test_any_claims_of_a_signed_token(claims: dict[str, Any]) -> None:
    """They name a user, or are refused; nothing else is raised."""
    signed = f"{b64({'alg': 'HS256'})}.{b64(claims)}"
    mac = hmac.new(SECRET.encode(), signed.encode(), sha256).digest()
    try:
        identity = verifier().verify(f"{signed}.{b64(mac)}")
    except TokenError as error:
        assert "\n" not in str(error)
    else:
        assert identity.user == claims["sub"]
        assert identity.expires is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no JSON", "JSON such as"),
        ("[]", "JSON such as"),
        ('{"keys": [7]}', "JSON such as"),
        ('{"keys": []}', "RS256"),
        ('{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', "public keys only"),
        ('{"keys": [{"kty": "RSA", "n": "x", "e": "AQAB", "d": "x"}]}', "public keys only"),
        ('{"keys": [{"kty": "EC", "crv": "P-521", "x": "x", "y": "y"}]}', "RS256"),
        ('{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "x"}]}', "valid keys"),
    ],
)
def test_bad_file_of_keys_ends_the_start(tmp_path: Path, content: str, words: str) -> None:
    """With one line that names the flag and the file."""
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(SettingError, match="--jwks") as caught:
        verifier(secret="", jwks=str(path))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_short_rsa_key_ends_the_start(tmp_path: Path) -> None:
    """RFC 7518 section 3.3: with 1024 bits, others may compute the private key."""
    short = rsa.generate_private_key(65537, 1024).public_key()
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [algorithms.RSAAlgorithm.to_jwk(short, as_dict=True)]}))
    with pytest.raises(SettingError, match="2048 bits or more"):
        verifier(secret="", jwks=str(path))


def test_missing_file_of_keys_ends_the_start(tmp_path: Path) -> None:
    """As a bad one does."""
    with pytest.raises(SettingError, match="No such file"):
        verifier(secret="", jwks=str(tmp_path / "none.json"))


def test_keys_without_cryptography(jwks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says what to install."""

    def missing(*_arguments: object) -> None:
        raise jwt.exceptions.MissingCryptographyError

    monkeypatch.setattr(jwt, "PyJWK", missing)
    with pytest.raises(SettingError, match=r"pip install 'rtdemo\[jwks\]'"):
        verifier(secret="", jwks=jwks)


def test_short_secret_is_refused_and_not_shown(tmp_path: Path) -> None:
    """RFC 7518 section 3.2: the key of HS256 has 32 bytes or more."""
    none = tmp_path / "none"
    with pytest.raises(SettingError, match="--secret") as caught:
        load({"secret": "hunter2hunter2"}, {}, none)
    assert "hunter2" not in str(caught.value)
    assert load({}, {"RTDEMO_SECRET": SECRET}, none).secret == SECRET
    with pytest.raises(SettingError, match="not both"):
        load({"secret": SECRET, "jwks": "x"}, {}, none)
