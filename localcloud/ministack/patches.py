"""Applies every change to MiniStack, once, at the start of the local cloud."""

from localcloud.home.space import Space
from localcloud.ministack import (
    bucket_configurations,
    bucket_deletion,
    bucket_tags,
    callers,
    clock_jumps,
    container_registry,
    function_roles,
    functions,
    http_api,
    log_search,
    managed_key,
    message_moves,
    metric_data,
    packed_items,
    parameters,
    policy_patterns,
    queries,
    received_messages,
    state_machine_roles,
    step_functions,
    stopped_executions,
    stored_objects,
    streams,
    taken_names,
    terminal_errors,
    transaction_tokens,
    version_listing,
)
from localcloud.ministack.observability import Observability


def apply(observability: Observability, secret: bytes, space: Space) -> None:
    """Patch MiniStack in this process.

    Args:
        observability: What logs and measures the functions' invocations.
        secret: What the functions' credentials are derived from.
        space: Is told when the disk is full.

    Raises:
        IncompatibleMiniStackError: If MiniStack's worker for functions reports errors in an unknown way.
    """
    callers.apply()
    policy_patterns.apply()
    function_roles.apply()
    functions.apply(secret)
    streams.apply()
    packed_items.apply()
    transaction_tokens.apply()
    queries.apply()
    received_messages.apply()
    message_moves.apply()
    stopped_executions.apply()
    step_functions.apply()
    state_machine_roles.apply()
    terminal_errors.apply()
    container_registry.apply()
    taken_names.apply()
    parameters.apply()
    http_api.apply()
    stored_objects.apply(space)
    bucket_configurations.apply()
    managed_key.apply()
    bucket_tags.apply()
    bucket_deletion.apply()
    version_listing.apply()
    clock_jumps.apply()
    log_search.apply()
    metric_data.apply()
    observability.apply()
