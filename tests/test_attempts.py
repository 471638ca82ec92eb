from wsharness.attempts import BATCH, run_after, run_alone, run_batches
from wsharness.conversations import Options, conversations
from wsharness.targets import Route

SEEN = []
OPTIONS = Options(target="x:app", runs=0)
CASES = list(conversations(Route("/ws", "", {}), OPTIONS))[: BATCH + 1]


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError
    SEEN.append(1)
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
    if len(SEEN) == 3:
        raise ValueError("the third")


def test_cases_share_processes_until_one_fails_and_know_who_was_before_them():
    outcomes = [outcome for _, outcome in run_batches(app, CASES, OPTIONS)]
    assert [outcome.before for outcome in outcomes[:5]] == [(), (0,), (0, 1), (), (3,)]
    assert [bool(outcome.failures) for outcome in outcomes[:5]] == [False, False, True, False, False]
    assert outcomes[BATCH].before == ()


def test_alone_a_case_sees_nothing_of_others():
    assert run_alone(app, CASES[2], OPTIONS).failures == []


def test_after_others_it_is_one_conversation_with_one_life_of_the_app():
    whole, outcome = run_after(app, CASES[:2], CASES[2], OPTIONS)
    assert [failure.message for failure in outcome.failures] == ["ValueError: the third"]
    assert len(whole.scenario.steps) > sum(len(case.scenario.steps) for case in CASES[:3])


async def never_ends(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass


def test_what_cannot_be_stopped_from_inside_is_stopped_from_outside():
    options = Options(target="x:app", runs=0, limit=0.5)
    [(_, outcome)] = run_batches(never_ends, CASES[:1], options)
    assert [failure.code for failure in outcome.failures] == ["WSH103"]
    assert [failure.code for failure in run_alone(never_ends, CASES[0], options).failures] == ["WSH103"]
