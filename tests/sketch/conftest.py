import openai
import pytest
from sketching import serving

from ipyimagegen.sketch import create_app


@pytest.fixture(scope="session")
def base_url():
    with serving() as (url, _):
        yield url


@pytest.fixture(scope="session")
def images(base_url):
    with openai.OpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
        yield client.images


@pytest.fixture
def app():
    return create_app()
