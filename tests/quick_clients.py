"""Makes clients of botocore and accounts of moto sooner, for the thousands of tests that have some of their own.

botocore makes the model, the methods and the endpoint rules of a service anew for each client: 10 to 100 ms of a core.
None of these changes after it was made, so the clients of a process can share them. moto makes 1,300 responses whenever
it starts; the same ones serve again.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import botocore.client
import botocore.endpoint_provider
import botocore.hooks
import botocore.session
import botocore.useragent


def share() -> None:
    """Let the clients of this process share what is the same for all of them."""
    # A session has a loader of its own, which parses megabytes of JSON for each client.
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    creator = botocore.client.ClientCreator
    creator._load_service_model = _shared_model(creator._load_service_model)
    creator._create_methods = _copied(creator._create_methods)
    creator._create_name_mapping = _copied(creator._create_name_mapping)
    botocore.endpoint_provider.RuleSet = _shared_rules(botocore.endpoint_provider.RuleSet)
    botocore.useragent.sanitize_user_agent_string_component = functools.lru_cache(
        botocore.useragent.sanitize_user_agent_string_component
    )
    _share_event_names()
    _read_flags(botocore.hooks.accepts_kwargs)


def share_accounts() -> None:
    """Let moto's accounts of this process share what is the same for all of them."""
    from moto import backends
    from moto.core import models, responses

    backends.get_backend = functools.cache(backends.get_backend)
    # By default all methods of a service's class are listed for each request.
    responses.method_names_from_class = functools.cache(responses.method_names_from_class)
    kept: dict[str, Any] = {}
    enable = models.MockAWS._enable_patching

    def enable_patching(self: Any, reset: bool = True) -> None:
        if not kept:
            enable(self, reset)
            registered = models.responses_mock._registry._registered
            kept.update({method: list(found) for method, found in registered.items()})
            return
        models.botocore_stubber.enabled = True
        if reset:
            self.reset()
        models.responses_mock.start()
        for method, found in kept.items():
            models.responses_mock._registry._registered[method] = list(found)

    models.MockAWS._enable_patching = enable_patching


def _shared_model(load: Callable[..., Any]) -> Callable[..., Any]:
    models: dict[tuple[Any, ...], Any] = {}

    def load_service_model(self: Any, service_name: str, api_version: str | None = None) -> Any:
        # A loader may know other services, or other versions of them.
        key = self._loader, service_name, api_version
        if key not in models:
            models[key] = load(self, service_name, api_version)
        return models[key]

    return load_service_model


def _copied(make: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Make a service's dictionary once; each client class adds to a copy of its own."""
    made: dict[Any, dict[str, Any]] = {}

    def copy(self: Any, service_model: Any) -> dict[str, Any]:
        if service_model not in made:
            made[service_model] = make(self, service_model)
        return dict(made[service_model])

    return copy


def _shared_rules(rule_set: Callable[..., Any]) -> Callable[..., Any]:
    made: dict[tuple[int, int], tuple[Any, ...]] = {}

    def share(*, partitions: Any, **ruleset: Any) -> Any:
        key = id(ruleset["rules"]), id(partitions)
        if key not in made:
            # What the numbers stand for is kept with them, so that nothing else can get one of them.
            made[key] = rule_set(**ruleset, partitions=partitions), ruleset, partitions
        return made[key][0]

    return share


def _share_event_names() -> None:
    """Each client has a copy of its session's events, which looks for every name anew."""
    aliaser = botocore.hooks.EventAliaser
    begin = aliaser.__init__
    known: dict[str, str] = {}

    def init(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        begin(self, event_emitter, event_aliases)
        if self._event_aliases == botocore.hooks.EVENT_ALIASES:
            self._alias_name_cache = known

    aliaser.__init__ = init


def _read_flags(usual: Callable[[Any], Any]) -> None:
    """Each of the 150 handlers of a session is asked whether it takes any keyword, which its signature says slowly."""

    def accepts_kwargs(func: Any) -> Any:
        function = getattr(func, "__func__", func)
        if not isinstance(function, FunctionType):
            return usual(func)
        return function.__code__.co_flags & inspect.CO_VARKEYWORDS

    botocore.hooks.accepts_kwargs = accepts_kwargs
