"""What of a model's spec is sent with each request."""

from punie.agent.models.spec import ModelSpec
from punie.agent.turns.build import settings_of


def test_a_spec_states_length_and_temperature() -> None:
    spec = ModelSpec(spec="local", max_tokens=99, temperature=0.3)
    assert settings_of(spec) == {"max_tokens": 99, "temperature": 0.3}


def test_what_a_spec_leaves_to_the_provider_is_not_sent() -> None:
    assert settings_of(ModelSpec(spec="openai:x", max_tokens=0, temperature=None)) == {}
