"""What queueing theory says, to which the simulation is held."""

from __future__ import annotations

import heapq
import math


def erlang_c(arrivals: float, service: float, servers: int) -> float:
    """Return how likely a customer of an M/M/c queue must wait.

    A. K. Erlang (1917); L. Kleinrock, Queueing Systems 1 (1975), section 3.5.

    Args:
        arrivals: Customers a second.
        service: Mean seconds for a customer.
        servers: How many servers serve.

    >>> round(erlang_c(0.5, 1.0, 1), 3), round(erlang_c(1.5, 1.0, 2), 3)
    (0.5, 0.643)
    """
    offered = arrivals * service
    busy = offered / servers
    last = offered**servers / math.factorial(servers) / (1 - busy)
    return last / (sum(offered**n / math.factorial(n) for n in range(servers)) + last)


def mm_c_wait(arrivals: float, service: float, servers: int) -> float:
    """Return the mean seconds for which a customer of an M/M/c queue waits. Args: as `erlang_c`."""
    return erlang_c(arrivals, service, servers) * service / (servers - arrivals * service)


def workload_departures(arrivals: list[float], services: list[float], servers: int) -> list[float]:
    """Return when each customer leaves a queue, by the recursion of Kiefer and Wolfowitz, without a clock.

    J. Kiefer, J. Wolfowitz, On the theory of queues with many servers (1955): the next one takes the server that is
    free first.
    """
    free = [0.0] * servers
    left = []
    for at, service in zip(arrivals, services, strict=True):
        end = max(at, heapq.heappop(free)) + service
        heapq.heappush(free, end)
        left.append(end)
    return left
