"""Testing and simulation of WebSocket applications: in one process, without a socket, in virtual time."""

from wsharness.checks import check, invariant
from wsharness.client import Client
from wsharness.errors import (
    BusyLoop,
    CheckFailed,
    ConnectionClosed,
    ConnectionLost,
    ConnectionRejected,
    ExpectationError,
    HandlerStuck,
    LoopBlocked,
    NoRouteError,
    ScenarioError,
    TargetError,
    UnreachableError,
    UnsupportedError,
    UsageError,
    WebSocketError,
    WSHarnessError,
)
from wsharness.events import Accepted, CloseCode, Closed, Lost, Message, Rejected
from wsharness.harness import Harness
from wsharness.profiles import Profile
from wsharness.results import Failure, Result
from wsharness.simulation import simulate
from wsharness.transcript import Record, Transcript

__all__ = [
    "Accepted",
    "BusyLoop",
    "CheckFailed",
    "Client",
    "CloseCode",
    "Closed",
    "ConnectionClosed",
    "ConnectionLost",
    "ConnectionRejected",
    "ExpectationError",
    "Failure",
    "HandlerStuck",
    "Harness",
    "LoopBlocked",
    "Lost",
    "Message",
    "NoRouteError",
    "Profile",
    "Record",
    "Rejected",
    "Result",
    "ScenarioError",
    "TargetError",
    "Transcript",
    "UnreachableError",
    "UnsupportedError",
    "UsageError",
    "WSHarnessError",
    "WebSocketError",
    "check",
    "invariant",
    "simulate",
]
