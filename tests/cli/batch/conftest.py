"""An environment in which this machine's servers are reached directly."""

import pytest


@pytest.fixture
def env(env: dict[str, str]) -> dict[str, str]:
    others = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "OPENAI_BASE_URL"}
    return {name: value for name, value in env.items() if name.upper() not in others}
