"""A report's secrets are masked once, and its scenario files still replay."""

import copy

import pytest

from tests.report import samples
from wsharness.report.masking import mask_report, mask_scenario


def test_the_report_itself_is_left_as_it_was():
    report = samples.report()
    before = copy.deepcopy(report)
    mask_report(report)
    assert report == before
    assert report.failures[1].transcript == before.failures[1].transcript


@pytest.mark.parametrize("make", [samples.report, samples.hostile_report, samples.empty_report])
def test_nothing_is_left_and_masking_again_changes_nothing(make):
    once = mask_report(make())
    assert samples.SECRET not in repr(once) + repr([failure.transcript for failure in once.failures])
    assert repr(mask_report(once)) == repr(once)
    assert [f.transcript for f in mask_report(once).failures] == [f.transcript for f in once.failures]


def test_bugs_keep_their_identity():
    report = samples.report()
    assert [f.key for f in mask_report(report).failures] == [f.key for f in report.failures]


def test_a_secret_of_the_handshake_is_masked_in_messages():
    report = samples.report()
    report.failures[1].transcript.extend(samples.Script().send("alice", f"it is {samples.SECRET}").transcript)
    assert "it is ***" in repr(mask_report(report).failures[1].transcript)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("headers: {Authorization: Bearer abc}", "headers: {Authorization: $(env.AUTHORIZATION)}"),
        (
            'headers: {Authorization: "Bearer abc"}  # x',
            "headers: {Authorization: $(env.AUTHORIZATION)}  # x",
        ),
        ("headers:\n  X-API-Key: abc\n", "headers:\n  X-API-Key: $(env.X_API_KEY)\n"),
        ("cookies: {theme: dark}", "cookies: {theme: $(env.THEME)}"),
        ("auth: [me, pw]", "auth: [$(env.AUTH), $(env.AUTH_2)]"),
        ("query: {key: abc, user: me}", "query: {key: $(env.KEY), user: me}"),
        ("path: /ws?user=me&token=abc", "path: /ws?user=me&token=$(env.TOKEN)"),
        ('send: \'{"token": "abc"}\'', 'send: \'{"token": "$(env.TOKEN)"}\''),
        ('send: "{\\"token\\": \\"abc\\"}"', 'send: "{\\"token\\": \\"$(env.TOKEN)\\"}"'),
        ("vars:\n  password: |\n    abc\n  x: 1\n", "vars:\n  password: $(env.PASSWORD)\n  x: 1\n"),
        ("expect: {token: $str}", "expect: {token: $str}"),
        (
            "cases: [{token: null}, {token: }, {token: a}]",
            "cases: [{token: null}, {token: }, {token: $(env.TOKEN)}]",
        ),
        ("headers: {Authorization: Bearer $(case.token)}", "headers: {Authorization: Bearer $(case.token)}"),
        ("steps: [{token: connect}, {token: drop}]", "steps: [{token: connect}, {token: drop}]"),
        ("a: 1\n---\ntoken: x\n", "a: 1\n---\ntoken: $(env.TOKEN)\n"),
        ("no: [yaml\ntoken=abc", "no: [yaml\ntoken=***"),
        ("a: &t {token: abc}\nb: *t\n", "a: &t {token: $(env.TOKEN)}\nb: *t\n"),
        ("&a [*a, {token: abc}]", "&a [*a, {token: $(env.TOKEN)}]"),
        ("- token=abc", "- token=$(env.TOKEN)"),
        ("[" * 1000, "[" * 1000),
        ("", ""),
    ],
)
def test_a_scenario_names_an_environment_variable_for_each_secret(text, masked):
    assert mask_scenario(text) == masked
    assert mask_scenario(masked) == masked


def test_one_value_is_one_variable_and_another_value_another():
    text = "- {token: a}\n- {token: b}\n- {token: a}\n"
    assert mask_scenario(text) == "- {token: $(env.TOKEN)}\n- {token: $(env.TOKEN_2)}\n- {token: $(env.TOKEN)}\n"


def test_a_known_secret_is_replaced_wherever_it_stands():
    assert mask_scenario("send: say swordfish", [("token", "swordfish")]) == "send: say $(env.TOKEN)"
