"""A WebSocket that closes with its own codes."""

# For an app of your own: `from fastapi import ...`; framework.py lets the examples run on two.
from scenarios.apps.framework import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()


@app.websocket("/ws/custom-close")
async def websocket_with_custom_close(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            data = await websocket.receive_text()
            if data == "close":
                await websocket.close(code=1000, reason="Client requested close")
                break
            elif data == "error":
                await websocket.close(code=1011, reason="Server error occurred")
                break
            else:
                await websocket.send_text(f"Received: {data}")
    except WebSocketDisconnect as disconnect:
        print(f"WebSocket disconnected with code: {disconnect.code}, reason: {disconnect.reason}")
