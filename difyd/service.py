"""
The composition root: whoever reads `build` has seen the whole daemon.

Nothing is opened here; opening is what the parts do when they start, in the order in which `build` lists them.
"""

import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from attrs import frozen
from twisted.application.service import IService
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from difyd.callback.callbacks import Callbacks
from difyd.callback.dify import Dify
from difyd.callback.inner_api import InnerApi
from difyd.callback.inner_api import Limits as CallbackLimits
from difyd.callback.pool import DifyConnections
from difyd.callback.secrets import Secrets
from difyd.callback.storage import PluginStorage
from difyd.catalog.areas import Areas
from difyd.catalog.assets import Assets
from difyd.catalog.contents import Contents
from difyd.catalog.debugging import DebugInstallations
from difyd.catalog.declarations import Declarations
from difyd.catalog.endpoints import Endpoints
from difyd.catalog.installations import Installations
from difyd.catalog.installs import Installs
from difyd.catalog.jobs import Jobs
from difyd.catalog.listings import Listings
from difyd.catalog.monitor import Monitor
from difyd.catalog.packages import Packages
from difyd.catalog.recovery import Recovery
from difyd.catalog.removals import Removals
from difyd.catalog.scratch import Scratch
from difyd.catalog.tasks import Tasks
from difyd.catalog.turns import Turns
from difyd.catalog.uninstalls import Uninstalls
from difyd.catalog.uploads import Uploads
from difyd.invoke.deadlines import Deadlines
from difyd.invoke.invoker import Invoker
from difyd.lifecycle import OpenFiles, Signals, Staged
from difyd.package.policy import Policy
from difyd.package.registration import Registration
from difyd.package.signature import load_keys_blocking
from difyd.package.upload import Gate
from difyd.runtime.assembly import LocalSettings, assemble
from difyd.runtime.debug.assembly import DebugSettings, Neighbours, Tls, assemble_debugging, debugging_port
from difyd.runtime.debug.keys import StoredKeys
from difyd.runtime.debug.plugins import Alone
from difyd.runtime.debug.plugins import Limits as DebugLimits
from difyd.runtime.eventlog import EventLog
from difyd.runtime.hooks import Hooks
from difyd.runtime.local.environment import BuildSettings
from difyd.runtime.local.instance import Limits
from difyd.runtime.local.uv import Installer, find_uv
from difyd.runtime.meter import Meter
from difyd.runtime.supervisor import Patience, Supervisor
from difyd.settings import Settings
from difyd.store.blobs import Blobs, Counted
from difyd.store.cache.memory import MemoryLeases, MemoryMessages
from difyd.store.database.engine import Database
from difyd.store.local import LocalObjects
from difyd.store.lock import DirectoryLock
from difyd.store.plugindata import PluginData
from difyd.store.probe import StorageProbe
from difyd.store.threads import Threads
from difyd.telemetry.metrics import Metrics, NoMetrics
from difyd.web.admin import Admin
from difyd.web.app import Listener, make_site
from difyd.web.assets import AssetRoutes
from difyd.web.auth import Key
from difyd.web.body import Bodies
from difyd.web.debugging import DebuggingRoutes
from difyd.web.dispatch import Dispatch
from difyd.web.endpoints import EndpointRoutes
from difyd.web.health import CHECK, Build, Health
from difyd.web.hooks import Hooks as HookCalls
from difyd.web.management.changes import ChangeRoutes
from difyd.web.management.extract import ExtractRoute
from difyd.web.management.lists import ListRoutes
from difyd.web.metrics import MetricsPage
from difyd.web.profiling import Profiling
from difyd.web.routes import BodyLimit, Group
from difyd.web.traffic import Traffic
from difyd.web.uploads import Uploads as Intake

SCRATCH: Final = ".difyd-scratch"
"""Below the data directory: bodies, uploads and unpacked files while they are worked on; nothing in it outlives a start."""

SLACK: Final = 60.0
"""Seconds after its own limit at which a task that nobody looks after is given up."""

log = Logger()


@frozen
class Store:
    """What outlives the process."""

    lock: DirectoryLock
    database: Database
    blobs: Blobs
    areas: Areas
    leases: MemoryLeases
    messages: MemoryMessages


def build(reactor: Any, settings: Settings, reopen_log: Callable[[], None] = lambda: None) -> IService:
    """Wire the daemon and open nothing. `reactor` is the one that will run; see `difyd.tap`."""
    zone = settings.zone
    metrics = make_metrics(settings)
    store = make_store(reactor, settings, zone, metrics)
    files = Threads(reactor, ThreadPool(0, 4, "files"))
    probe = StorageProbe(reactor, store.blobs)
    scratch = Scratch(files, settings.data_directory / SCRATCH / "packages")

    declarations = Declarations(store.database)
    installations = Installations(reactor, store.database, store.messages, declarations)
    packages = Packages(store.blobs, store.areas, store.database, declarations)

    events = Hooks()
    events.add(EventLog())
    events.add(Meter(metrics))
    working_path, guard, local = assemble(reactor, files, packages, events, local_settings(settings))
    patience = Patience(settings.plugin_startup_wait, settings.python_env_init_timeout)
    supervisor = Supervisor(reactor, local, patience, events, random.random)

    announcements = Alone()
    debugged = DebugInstallations(reactor, store.database, store.blobs, store.areas, installations, announcements)
    keys = StoredKeys(store.database)
    neighbours = Neighbours(keys, debugged, supervisor, announcements, metrics, Registration)
    debugging = settings.plugin_remote_installing_enabled

    to_dify = DifyConnections(reactor, settings.dify_invocation_connection_idle_timeout)
    inner_api = make_inner_api(reactor, settings, to_dify)
    callbacks = Callbacks(
        reactor, Dify(inner_api), PluginStorage(make_plugin_data(settings, store, metrics)),
        settings.plugin_max_invocations, settings.tenant_max_invocations, metrics,
    )  # fmt: skip
    invoker = Invoker(
        reactor, callbacks, Deadlines(reactor, settings.plugin_max_execution_timeout), settings.plugin_idle_execution_timeout, metrics
    )

    metrics.sessions(invoker.__len__)

    node = uuid4().hex
    turns = Turns(reactor, store.leases)
    removals = Removals(reactor, store.database, packages, supervisor, turns)
    jobs = Jobs(reactor, store.database, packages, installations, supervisor, turns, removals, metrics, settings.plugin_install_timeout * 60.0)
    installs = Installs(reactor, store.database, store.leases, installations, removals, jobs, node)
    monitor = Monitor(reactor, store.database, store.leases, installs, node, settings.plugin_install_timeout * 60.0 + SLACK)
    gate = make_gate(settings)
    contents = Contents(files, store.blobs, store.areas, gate.keys, store.database, scratch, settings.plugin_asset_cache_size)
    uploads = Uploads(files, gate, store.blobs, store.areas, store.database, contents, installations, scratch)
    uninstalls = Uninstalls(store.database, installations, removals)

    bodies = Threads(reactor, ThreadPool(0, 4, "bodies"))
    spool = settings.data_directory / SCRATCH / "bodies"
    traffic = Traffic(metrics, frozenset() if settings.health_api_log_enabled else frozenset([CHECK]))
    key = Key("X-Api-Key", settings.server_key.encode())
    health = Health(
        Build(version("difyd"), datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"), settings.platform),
        traffic,
        settings.routine_pool_size,
        lambda: len(invoker),
        lambda: supervisor.launching,
        {"database": lambda: store.database.healthy, "storage": lambda: probe.good},  # both get well by themselves: somebody asks them again
    )
    changes = ChangeRoutes(
        Intake(bodies.run, spool), uploads, installs, uninstalls, Tasks(store.database),
        settings.max_plugin_package_size, settings.max_bundle_package_size,
    )  # fmt: skip
    dispatch = Dispatch(installations, supervisor, invoker, Bodies(bodies.run), settings.plugin_session_buffer)
    endpoints = Endpoints(reactor, store.database, installations, Secrets(inner_api), zone)
    groups = [
        Group(health, open_to_the_end=True),
        Group(dispatch, key, BodyLimit(settings.max_dispatch_body_size)),
        changes.group(key),
        EndpointRoutes(endpoints, Bodies(bodies.run)).group(key, settings.max_dispatch_body_size),
        ListRoutes(Listings(store.database, declarations), contents).group(key),
        ExtractRoute(contents).group(key),
        AssetRoutes(Assets(store.blobs, store.areas, settings.plugin_media_cache_size), contents).group(key),
        *([DebuggingRoutes(keys).group(key)] if debugging else []),
        *optional_groups(reactor, settings, key, metrics, bodies),
    ]
    hooks = HookCalls(
        endpoints, installations, supervisor, invoker, Bodies(bodies.run),
        settings.plugin_session_buffer, settings.plugin_endpoint_max_concurrency,
    )  # fmt: skip
    mounts = [hooks.mount()] if settings.plugin_endpoint_enabled else []
    site = make_site(reactor, groups, mounts, traffic, bodies.run, spool)

    def end_calls() -> None:
        """Those that their plugins answer, and those that wait for one."""
        invoker.end_all()
        supervisor.end_held()

    listener = Listener(reactor, http_endpoint(reactor, settings), site, traffic, settings.shutdown_grace_period, end_calls)

    return Staged(
        reactor,
        [
            OpenFiles(),
            Signals(reactor, supervisor.kill_now, reopen_log),
            store.lock,
            files,
            store.blobs,
            probe,
            store.database,
            scratch,
            working_path,
            guard,
            bodies,
            to_dify,
            turns,
            installations,
            debugged,
            supervisor,
            removals,
            Recovery(store.database, packages, removals),
            uploads,
            uninstalls,
            installs,
            monitor,
            *([make_debugging(reactor, settings, neighbours)] if debugging else []),
            listener,  # opens last and closes first
        ],
        patience=settings.shutdown_grace_period + 30.0,
        started=health.begin,
    )


def make_store(reactor: Any, settings: Settings, zone: tzinfo, metrics: Metrics) -> Store:
    """The embedded stores: SQLite, files, and what is kept in the process."""
    areas = Areas(settings.plugin_package_cache_path, settings.plugin_installed_path, settings.plugin_media_cache_path)
    objects = LocalObjects(settings.data_directory, (areas.packages, areas.installed, areas.assets, settings.persistence_storage_path))
    return Store(
        DirectoryLock(settings.data_directory),
        Database.embedded(reactor, settings.db_sqlite_path, zone=zone, migrate=settings.db_migrate_on_start),
        Blobs(objects, Threads(reactor, ThreadPool(0, 4, "blobs")), Counted(objects.kind, metrics)),
        areas,
        MemoryLeases(reactor),
        MemoryMessages(reactor),
    )


def make_inner_api(reactor: Any, settings: Settings, connections: DifyConnections) -> InnerApi:
    """The way to Dify; the settings are in milliseconds."""
    limits = CallbackLimits(
        read=settings.dify_backwards_invocation_read_timeout / 1000,
        write=settings.dify_backwards_invocation_write_timeout / 1000,
        frame=settings.response_max_buffer_size,
    )
    return InnerApi(reactor, connections.client, settings.dify_inner_api_url, settings.dify_inner_api_key, limits)


def make_plugin_data(settings: Settings, store: Store, metrics: Metrics) -> PluginData:
    """What plugins keep."""
    objects = store.blobs.objects
    counted = Counted(objects.kind, metrics)
    most = settings.persistence_storage_max_size
    return PluginData(store.database, store.blobs, objects, settings.persistence_storage_path, most, counted)


def make_gate(settings: Settings) -> Gate:
    """What uploads must pass. Keys are small files that are read once, here: a daemon that trusts fewer than it should says so at once."""
    trusted = settings.third_party_signature_verification_public_keys if settings.third_party_signature_verification_enabled else ()
    keys, complaints = load_keys_blocking([Path(name) for name in trusted])
    for complaint in complaints:
        log.warn("{complaint}", complaint=complaint)
    policy = Policy(settings.force_verifying_signature, settings.enforce_langgenius_plugin_signatures, settings.langgenius_by_official_key_only)
    return Gate(keys, policy, settings.max_plugin_package_size)


def local_settings(settings: Settings) -> LocalSettings:
    """What the operator says about plugins on this node."""
    installer = Installer(
        find_uv(settings.uv_path),
        settings.pip_mirror_url,
        settings.pip_verbose,
        tuple(settings.pip_extra_args.split()),
        settings.plugin_ignore_uv_lock,
    )
    proxies = {"HTTP_PROXY": settings.http_proxy, "HTTPS_PROXY": settings.https_proxy, "NO_PROXY": settings.no_proxy}
    return LocalSettings(
        root=settings.plugin_working_path,
        environment={**os.environ, **{name: value for name, value in proxies.items() if value}},
        secrets=settings.secret_names(),
        python=settings.plugin_python,
        build=BuildSettings(installer, settings.python_env_init_timeout, tuple(settings.python_compile_all_extra_args.split())),
        builds=settings.plugin_local_launching_concurrent,
        limits=Limits(settings.line_limit, drain=settings.plugin_max_execution_timeout, hold=settings.plugin_startup_wait),
        idle=settings.plugin_idle_timeout,
        sweeps=settings.plugin_working_path_sweep,
    )


def make_debugging(reactor: Any, settings: Settings, neighbours: Neighbours) -> IService:
    """The port for plugins under development."""
    limited = "plugin_remote_installing_max_single_tenant_conn" in settings.given
    limits = DebugLimits(
        settings.plugin_remote_installing_max_conn, settings.plugin_remote_installing_max_single_tenant_conn if limited else None
    )
    certificate, key = settings.plugin_remote_installing_tls_certificate, settings.plugin_remote_installing_tls_key
    tls = Tls(Path(certificate), Path(key)) if certificate else None
    endpoint = debugging_port(reactor, settings.plugin_remote_installing_host, settings.plugin_remote_installing_port, tls)
    return assemble_debugging(reactor, endpoint, neighbours, DebugSettings(limits))


def make_metrics(settings: Settings) -> Metrics:
    if not settings.prometheus_enabled:
        return NoMetrics()
    from difyd.telemetry.prometheus import PrometheusMetrics  # a library that a daemon without metrics does not load

    return PrometheusMetrics()


def optional_groups(reactor: Any, settings: Settings, key: Key, metrics: Metrics, threads: Threads) -> list[Group]:
    """Routes that a setting switches on or off."""
    groups = []
    if settings.prometheus_enabled:
        from difyd.telemetry.prometheus import CONTENT_TYPE, PrometheusMetrics

        assert isinstance(metrics, PrometheusMetrics)
        groups.append(Group(MetricsPage(metrics.page, CONTENT_TYPE, threads.run), open_to_the_end=True))
    if settings.pprof_enabled:
        groups.append(Group(Profiling(reactor), key))
    if settings.admin_api_enabled:
        groups.append(Group(Admin(), Key("X-Admin-Api-Key", settings.admin_api_key.encode()), always_ok=True))
    return groups


def http_endpoint(reactor: Any, settings: Settings) -> IStreamServerEndpoint:
    kind = TCP6ServerEndpoint if ":" in settings.server_host else TCP4ServerEndpoint
    return kind(reactor, settings.server_port, interface=settings.server_host, backlog=1024)
