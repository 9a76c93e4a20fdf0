"""One JSON-RPC connection: requests both ways at once, in order, until either side ends it.

Frames go out in the order of the calls. What comes in starts in the order of arrival; each request
runs as a task of its own. Notifications of an *ordered* method are handled one by one, and whatever
arrives behind them (a request, the answer to a call) waits for them, so that a caller that gets its
answer has seen every update before it.

The connection knows no method: a `Dispatcher` finds the handlers. It never logs parameters.
"""

from punie.acp.connection.peer import Connection, Taken
from punie.acp.connection.serving import Dispatcher, Incoming, Job

__all__ = ["Connection", "Dispatcher", "Incoming", "Job", "Taken"]
