"""Makes clients of botocore and accounts of moto sooner, for the thousands of tests that have some of their own.

botocore makes the model, the methods and the endpoint rules of a service anew for each client: 10 to 100 ms of a core.
None of these changes after it was made, so the clients of a process can share them. moto makes 1,300 responses whenever
it starts; the same ones serve again.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
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
    _share_urls()
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
    if "moto.dynamodb.models" in sys.modules:
        _share_names_of_members()
        _weigh_items_once()
        _share_kinds_of_nodes()
        _write_in_turns()


def _write_in_turns() -> None:
    """DynamoDB checks a condition and writes in one step; by default another thread can write in between."""
    from moto.dynamodb.models import DynamoDBBackend

    lock = threading.RLock()

    def in_turns(write: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(write)
        def locked(*arguments: Any, **options: Any) -> Any:
            with lock:
                return write(*arguments, **options)

        return locked

    for name in ("put_item", "update_item", "delete_item", "transact_write_items"):
        setattr(DynamoDBBackend, name, in_turns(getattr(DynamoDBBackend, name)))


def _share_urls() -> None:
    """By default the patterns of a service's URLs are made for each request, for S3 even its module is loaded again."""
    from moto.core.base_backend import BaseBackend

    usual: Callable[[Any], Any] = BaseBackend.urls.fget
    known: dict[type, Any] = {}

    def urls(self: Any) -> Any:
        if type(self) not in known:
            known[type(self)] = usual(self)
        return known[type(self)]

    BaseBackend.urls = property(urls)


def _share_names_of_members() -> None:
    """By default the names that each member of each answer may have are made up for each value."""
    from moto.core import serialize

    pickers = serialize.AttributePicker, serialize.XFormedAttributePicker
    usual = serialize.ResponseSerializer.get_value
    known: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def get_value(self: Any, value: Any, key: str, shape: Any) -> Any:
        picker = self._value_picker
        # Objects may have names of their own.
        if type(value) is not dict or type(picker) not in pickers or picker.response_transformers:
            return usual(self, value, key, shape)
        parent = getattr(shape, "parent", None)
        place = type(picker), tuple(picker.alias_providers), id(shape), id(parent), key
        if place not in known:
            context = serialize.AttributePickerContext(
                obj=value, key=key, shape=shape, operation_model=None, service_model=None, key_path=""
            )
            # What the numbers stand for is kept with the names, so that nothing else can get one of them.
            known[place] = list(picker.get_possible_keys(context)), shape, parent
        return next((value[name] for name in known[place][0] if name in value), None)

    serialize.ResponseSerializer.get_value = get_value


def _weigh_items_once() -> None:
    """By default an item is weighed anew with each attribute that it gets."""
    from moto.dynamodb.models import dynamo_type

    def begin(self: Any, hash_key: Any, range_key: Any, attrs: dict[str, Any]) -> None:
        self.hash_key, self.range_key = hash_key, range_key
        self.attrs = dynamo_type.LimitedSizeDict()
        *most, last = attrs or [None]
        for name in most:
            dict.__setitem__(self.attrs, name, dynamo_type.DynamoType(attrs[name]))
        if attrs:
            self.attrs[last] = dynamo_type.DynamoType(attrs[last])

    dynamo_type.Item.__init__ = begin


def _share_kinds_of_nodes() -> None:
    """By default the kinds of nodes that a step looks for are listed for each node of an expression."""
    from moto.dynamodb.parsing import ast_nodes

    traverser = ast_nodes.DepthFirstTraverser
    usual, known = traverser.nodes_to_be_processed, dict[type, tuple[type, ...]]()

    def nodes_to_be_processed(self: Any) -> tuple[type, ...]:
        if type(self) not in known:
            known[type(self)] = usual(self)
        return known[type(self)]

    traverser.nodes_to_be_processed = nodes_to_be_processed


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
