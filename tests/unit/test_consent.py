from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from prony.alone import consent as proving
from prony.alone.answer import Answer
from prony.errors import ConsentError, PlanError
from prony.load import consent
from prony.load.spec import LoadSpec, RequestSpec, address_of
from prony.plan import Destination

NAMED = Destination(host="staging.example.com", port=8000, address="198.51.100.7")
BARE = Destination(host="198.51.100.7", port=80, address="198.51.100.7")
SPEC: dict[str, Any] = {
    "port": 8000,
    "requests": (RequestSpec(),),
    "arrivals": "poisson",
    "rate_rps": 1.0,
    "duration_s": 1.0,
    "segment": "segment",
    "host_header": "staging.example.com:8000",
}


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


# ---- the token


def test_a_token_is_the_hosts_and_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = consent.token("staging.example.com")
    assert token == consent.token("staging.example.com")
    assert token != consent.token("example.com")
    assert stat.S_IMODE(consent.secret_file().stat().st_mode) == 0o600
    assert [path.name for path in consent.secret_file().parent.iterdir()] == ["consent.key"]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user's"))
    assert token != consent.token("staging.example.com")


def test_a_secret_that_is_damaged_is_not_used() -> None:
    consent.token("staging.example.com")
    consent.secret_file().write_bytes(b"")
    with pytest.raises(OSError, match="32 bytes"):
        consent.token("staging.example.com")
    assert not consent.holds("1.a", "198.51.100.7", 8000, "staging.example.com:8000")


# ---- the signature that the engine wants to see


def test_a_signature_is_of_one_address_port_and_host_for_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    signed = ("198.51.100.7", 8000, "staging.example.com:8000")
    signature = consent.sign(*signed)
    assert consent.holds(signature, *signed)
    for other in (("198.51.100.8", *signed[1:]), (signed[0], 80, signed[2]), (*signed[:2], "example.com")):
        assert not consent.holds(signature, *other)
    until, _, mac = signature.partition(".")
    for forged in (f"{int(until) + 1}.{mac}", f"{until}.{mac[:-1]}", f"{until}.", "", f"٣.{mac}", f"{until}.ü", mac):
        assert not consent.holds(forged, *signed)
    monkeypatch.setattr("time.time", lambda: 1_000_000.0 + consent.HOLDS_S + 1)
    assert not consent.holds(signature, *signed)


def test_the_engine_goes_elsewhere_than_to_loopback_only_with_a_signature() -> None:
    signature = consent.sign("198.51.100.7", 8000, "staging.example.com:8000")
    spec = LoadSpec(host="198.51.100.7", consent=signature, **SPEC)
    assert address_of(spec) == "198.51.100.7"
    assert msgspec.json.decode(msgspec.json.encode(spec), type=LoadSpec) == spec
    with pytest.raises(ValueError, match="only to loopback"):
        LoadSpec(host="198.51.100.7", **SPEC)
    for change in (
        {"host": "198.51.100.8"},
        {"port": 80},
        {"host_header": "other.example.com"},
        {"consent": consent.token("staging.example.com")},
        {"consent": "yes"},
    ):
        with pytest.raises(ValueError, match="no consent"):
            LoadSpec(**{"host": "198.51.100.7", "consent": signature} | SPEC | change)


def test_a_signature_made_by_another_user_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = consent.sign("198.51.100.7", 8000, "staging.example.com:8000")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user's"))
    with pytest.raises(ValueError, match="no consent"):
        LoadSpec(host="198.51.100.7", consent=signature, **SPEC)


# ---- the proof


def page(text: str, status: int = 200, **fields: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in fields.items()}, text.encode())


def site(answers: dict[str, Answer], asked: list[tuple[str, str]] | None = None) -> Callable[..., Answer]:
    def ask(destination: Destination, path: str) -> Answer:
        if asked is not None:
            asked.append((destination.address, path))
        return answers.get(path, page("not here", 404))

    return ask


def no_records(_: str) -> list[str]:
    return []


def proved(answers: dict[str, Answer], destination: Destination = NAMED, **other: Any) -> str:
    return proving.prove(destination, "/", site(answers), other.get("records", no_records))


def test_a_consent_is_asked_for_again_after_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    answers = {proving.PATH: page(proving.token_of(NAMED.host))}
    real, now = proving.prove, [1000.0]
    monkeypatch.setattr("prony.alone.consent.time.monotonic", lambda: now[0])
    monkeypatch.setattr(proving, "prove", lambda where, path: real(where, path, site(answers, asked), no_records))
    proving.prove(NAMED, "/")
    now[0] += 299
    proving.still(NAMED, "/")
    assert len(asked) == 1
    now[0] += 2
    proving.still(NAMED, "/")
    assert len(asked) == 2
    answers.clear()
    now[0] += 301
    proving.still(NAMED, "/", proving.AGAIN_S + 60)
    assert len(asked) == 2, "a trial that was let begin begins"
    with pytest.raises(ConsentError, match="had consented to be loaded, and no longer says so") as refused:
        proving.still(NAMED, "/")
    assert refused.value.message.startswith("staging.example.com (198.51.100.7:8000) had")
    assert "answered 404 with no token" in refused.value.message
    assert refused.value.hint.startswith("prony doctor --consent staging.example.com")
    never = structs.replace(NAMED, address="198.51.100.9")
    with pytest.raises(ConsentError, match="has not consented"):
        proving.still(never, "/")


def test_a_host_consents_by_a_page_a_field_or_a_record() -> None:
    token = proving.token_of(NAMED.host)
    assert proved({proving.PATH: page(f"{token}\n")}) == "well-known"
    assert proved({proving.PATH: page(f"# for A\nprony-0123\n{token}\r\n")}) == "well-known"
    assert proved({"/": page("shop", prony_consent=token)}) == "header"
    assert proved({"/": page("shop", prony_consent=f"prony-0123, {token}")}) == "header"
    assert proved({proving.PATH: page("", 404, prony_consent=token)}) == "header"
    asked: list[str] = []

    def records(name: str) -> list[str]:
        asked.append(name)
        return ["v=spf1", f'"{token}"']

    assert proved({}, records=records) == "dns"
    assert asked == ["_prony-consent.staging.example.com"]


def test_it_is_asked_at_the_pinned_address_and_told_nothing() -> None:
    asked: list[tuple[str, str]] = []
    with pytest.raises(PlanError):
        proving.prove(NAMED, "/shop", site({}, asked), no_records)
    assert asked == [("198.51.100.7", proving.PATH), ("198.51.100.7", "/shop")]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "answered 404 with no token"),
        ({proving.PATH: page("prony-0123456789")}, "answered 200 with another token"),
        ({proving.PATH: page("OTHER")}, "answered 200 with another token"),
        ({proving.PATH: page("TOKEN", 302, location="http://127.0.0.1/")}, 'leads to "http://127.0.0.1/"'),
        ({proving.PATH: page("", 301, location="/x", prony_consent="TOKEN")}, "301, which leads to"),
        ({"/": page("", 307, prony_consent="TOKEN")}, "/ answered 307 and is not followed"),
        ({proving.PATH: page("TOKEN", 404)}, "answered 404"),
        ({proving.PATH: page("TOKEN", 500)}, "answered 500"),
        ({proving.PATH: page("you asked for TOKEN")}, "answered 200"),
        ({proving.PATH: page("\n" * 100 + "TOKEN")}, "answered 200"),
        ({"/": page("TOKEN")}, "answered 200"),
    ],
)
def test_anything_else_is_no_consent(answers: dict[str, Answer], said: str) -> None:
    token, other = proving.token_of(NAMED.host), proving.token_of("example.com")

    def filled(text: str) -> str:
        return text.replace("TOKEN", token).replace("OTHER", other)

    given = {
        path: Answer(
            each.status,
            {name: filled(value) for name, value in each.fields.items()},
            filled(each.body.decode()).encode(),
        )
        for path, each in answers.items()
    }
    with pytest.raises(PlanError) as refused:
        proved(given)
    assert said in refused.value.message
    assert refused.value.message.startswith("--url: staging.example.com (198.51.100.7:8000) is not loopback")
    assert refused.value.hint.startswith("prony doctor --consent staging.example.com")
    assert token not in refused.value.paragraph()


def test_a_host_that_gives_no_answer_is_asked_once_and_may_consent_by_dns() -> None:
    asked: list[str] = []

    def silent(_: Destination, path: str) -> Answer:
        asked.append(path)
        raise TimeoutError("no whole answer within 10 s")

    with pytest.raises(PlanError, match="gave no answer"):
        proving.prove(NAMED, "/", silent, no_records)
    assert asked == [proving.PATH]
    assert proving.prove(NAMED, "/", silent, lambda _: [proving.token_of(NAMED.host)]) == "dns"


def test_records_that_cannot_be_read_are_no_consent() -> None:
    def fails(_: str) -> list[str]:
        raise OSError("dnspython is not installed: pip install 'prony[dns]'")

    with pytest.raises(PlanError, match="dnspython is not installed"):
        proved({}, records=fails)


def test_an_address_has_no_records() -> None:
    def never(name: str) -> list[str]:
        raise AssertionError(name)

    with pytest.raises(PlanError):
        proved({}, BARE, records=never)
    assert [where.split()[1] for where, _ in proving.ways(BARE.host, "prony-0")] == ["page", "header"]
    assert [what for _, what in proving.ways(NAMED.host, "prony-0")] == [
        "prony-0",
        "Prony-Consent: prony-0",
        '_prony-consent.staging.example.com. IN TXT "prony-0"',
    ]
