"""The words that callers choose from: values of parameters, and of the options of commands."""

from typing import Literal

BreakerSetting = Literal["open", "close", "half-open", "auto"]
"""What a circuit breaker can be set to; `auto` returns it to its own decision."""
Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
"""HTTP methods of a request."""
Mode = Literal["auto", "full", "incremental"]
"""How much of a dataset a sync reads; see `Gateway.sync`."""
OnUnavailable = Literal["wait", "fail", "stale"]
"""What to do while a provider takes no calls: wait, fail at once, or return old data."""
PersonResource = Literal["students", "teachers"]
"""The resources whose records are persons."""
Resolution = Literal["done", "failed", "retry"]
"""What became of a call whose outcome was unknown."""
Slot = Literal["primary", "secondary", "backup"]
"""Places for the keys of a provider, in the order in which they are tried."""
Span = Literal["total", "day", "hour"]
"""The periods that usage is summed over; days are in UTC."""
