"""For tests and benchmarks of the hub: an agent that does what it is told, frame by frame."""

from punie.http.testing.puppet import Puppet

__all__ = ["Puppet"]
