"""A quiz whose answers are chosen by number."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import read

TITLE = "a choice out of range is an IndexError"
EXPECTS = ("WSH101",)
FUNCTION = "judge"
PATH = "/ws"
HELLO = [{"type": "choose", "choice": 2}]
INVARIANT = None
ANSWERS = ("Rome", "Oslo", "Paris", "Bern")


def judge(choice):
    return ANSWERS[choice] == "Paris"


def judge_in_range(choice):
    return 0 <= choice < len(ANSWERS) and judge(choice)


def make(judge_choice):
    app = FastAPI()

    @app.websocket("/ws")
    async def quiz(websocket: WebSocket):
        await websocket.accept()
        try:
            await websocket.send_json({"type": "question", "text": "capital of France", "choices": ANSWERS})
            while True:
                choice = (await read(websocket) or {}).get("choice")
                if type(choice) is int:
                    await websocket.send_json({"type": "judged", "right": judge_choice(choice)})
                else:
                    await websocket.send_json({"type": "error", "detail": "choice: a number"})
        except WebSocketDisconnect:
            pass

    return app


def broken():
    return make(judge)


def correct():
    return make(judge_in_range)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.messages[-1] == {"type": "judged", "right": True}
    await ann.send({"choice": 7})
    return any(isinstance(error, IndexError) for error in drive.crashes())
