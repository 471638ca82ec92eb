"""The example applications, one per module: `uvicorn scenarios.apps.chat:app` serves one."""
