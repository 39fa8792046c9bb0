"""
The settings of a daemon that serves plugins on one machine (configuration 2.1-2.4, 2.6, 2.8, 2.9, 2.13).

Each class is an area; its docstring is the heading that the documentation gives it.
"""

from pathlib import Path

import attrs
from attrs import frozen

from difyd.settings.variable import Status, choice, flag, integer, number, path, positive, secret, text, words

LATER, UNUSED, DEPRECATED = Status.LATER, Status.UNUSED, Status.DEPRECATED


@frozen(kw_only=True, slots=False)
class Server:
    """The HTTP server"""

    server_host: str = text("0.0.0.0", "address that HTTP binds to")
    server_port: int = positive(5002, "HTTP port, also told to the other nodes of a cluster", most=65535)
    server_key: str = secret(attrs.NOTHING, "what the Dify API server sends as `X-Api-Key`")
    server_tz: str = text("UTC", "time zone (IANA name) of times that are printed and returned")
    platform: str = choice(
        "local",
        ("local", "serverless"),
        "where plugins run: as child processes, or as functions of a connector",
        complaint="invalid configuration: invalid platform",
    )
    max_dispatch_body_size: int = positive(100 << 20, "largest body of a plugin call", unit="bytes")
    shutdown_grace_period: int = integer(30, "time that running calls have to finish after SIGTERM or SIGINT", unit="s")
    routine_pool_size: int = positive(10000, "capacity that the health check reports as `pool_status.total`")
    admin_api_enabled: bool = flag(False, "serve `/admin/…`")
    admin_api_key: str = secret("", "value of `X-Admin-Api-Key`, at least 10 characters")
    pprof_enabled: bool = flag(False, "serve `/debug/pprof/…`")
    gin_mode: str = text("release", "mode of the reference's web framework", status=UNUSED)


@frozen(kw_only=True, slots=False)
class Dify:
    """The Dify API server"""

    dify_inner_api_url: str = text(attrs.NOTHING, "base URL of the inner API, through which plugins call Dify")
    dify_inner_api_key: str = secret(attrs.NOTHING, "sent to the inner API as `X-Inner-Api-Key`")
    dify_backwards_invocation_read_timeout: int = positive(240000, "longest silence of the inner API, before and within an answer", unit="ms")
    dify_backwards_invocation_write_timeout: int = positive(5000, "longest standstill in sending a request to it", unit="ms")
    dify_invocation_connection_idle_timeout: int = positive(120, "life of an idle connection to it", unit="s")
    response_max_buffer_size: int = integer(31457280, "largest chunk of a streamed inner API answer", least=1, unit="bytes")


@frozen(kw_only=True, slots=False)
class Calls:
    """Plugin calls and runtimes"""

    plugin_max_execution_timeout: int = positive(
        600,
        "limit of one call, from request to end (`killed by timeout`); also how long a retired plugin may finish its calls. "
        "`PLUGIN_DAEMON_TIMEOUT` of Dify should be longer: a client that gives up first has no reason to show",
        unit="s",
    )
    plugin_idle_execution_timeout: int = integer(0, "longest silence of a plugin within one call; 0: no such limit", unit="s")
    plugin_session_buffer: int = positive(
        64 << 20, "what may wait for a client that does not read; beyond it that one call ends with an error", unit="bytes"
    )
    plugin_startup_wait: int = integer(30, "how long a call waits for an installed plugin that is starting or stopped", unit="s")
    plugin_idle_timeout: int = integer(0, "stop a plugin after this time without a call, start it again on the next; 0: never", unit="s")
    plugin_local_launching_concurrent: int = positive(2, "environments that are built at the same time")
    plugin_max_invocations: int = positive(1000, "calls into Dify that one plugin may have open at once; more are refused")
    tenant_max_invocations: int = positive(2000, "the same for one tenant")
    plugin_install_timeout: int = integer(15, "limit of one installation or upgrade", least=1, unit="min")
    plugin_runtime_buffer_size: int = integer(1024, "first size of a line buffer", unit="bytes", status=UNUSED)
    plugin_runtime_max_buffer_size: int = positive(5242880, "longest line of a plugin; a longer one fails its call alone", unit="bytes")
    plugin_stdio_buffer_size: int = integer(1024, "older name of `PLUGIN_RUNTIME_BUFFER_SIZE`", unit="bytes", status=UNUSED)
    plugin_stdio_max_buffer_size: int = integer(
        5242880,
        "older name of `PLUGIN_RUNTIME_MAX_BUFFER_SIZE`, which it overrides for child processes unless it is 0 or the default",
        unit="bytes",
        status=DEPRECATED,
    )
    plugin_endpoint_enabled: bool = flag(True, "serve `/e/{hook_id}/…`", aliases=("PLUGIN_WEBHOOK_ENABLED",))
    plugin_endpoint_max_concurrency: int = positive(1000, "calls of hooks (`/e/…`) that may run at once; more are answered with 503")
    plugin_worker_num: str = text("", "named by an old document; there is one process for each plugin", status=UNUSED)
    max_plugin_package_size: int = positive(52428800, "limit of a package, packed and unpacked", unit="bytes")
    max_bundle_package_size: int = positive(629145600, "the same for bundles", unit="bytes")


@frozen(kw_only=True, slots=False)
class Directories:
    """Directories, storage areas, caches"""

    plugin_storage_local_root: Path = path(
        attrs.Factory(lambda: Path("storage").absolute()), "the data directory: database, stored packages, lock", shown="storage"
    )
    plugin_working_path: Path = path(
        attrs.Factory(lambda self: self.plugin_storage_local_root / "cwd", takes_self=True),
        "unpacked plugins, their environments, the package cache; on a local file system",
        shown="<PLUGIN_STORAGE_LOCAL_ROOT>/cwd",
    )
    plugin_working_path_sweep: bool = flag(
        True, "at the start, delete unpacked plugins there that nobody has installed, once they are a day old"
    )
    plugin_installed_path: str = text("plugin", "area of installed packages: a prefix of storage keys")
    plugin_package_cache_path: str = text("plugin_packages", "area of uploaded packages")
    plugin_media_cache_path: str = text("assets", "area of icons")
    plugin_media_cache_size: int = positive(1024, "icons kept in memory", most=65535)
    plugin_asset_cache_size: int = positive(256, "files of packages kept in memory", most=65535)
    persistence_storage_path: str = text("persistence", "area of the data that plugins keep")
    persistence_storage_max_size: int = positive(104857600, "limit of that data for each tenant and plugin", unit="bytes")
    plugin_model_installations_cache_enabled: bool = flag(
        False, "keep the list of models; all lists are kept while nothing changes", status=UNUSED
    )
    plugin_model_installations_cache_ttl: int = positive(1440, "its life", least=None, unit="min", status=UNUSED)


@frozen(kw_only=True, slots=False)
class Debugging:
    """The port for plugins under development"""

    plugin_remote_installing_enabled: bool = flag(True, "open the debugging port and hand out debugging keys")
    plugin_remote_installing_host: str = text("127.0.0.1", "address that it binds to", empty_counts=True)
    plugin_remote_installing_port: int = integer(5003, "its TCP port", most=65535)
    plugin_remote_installing_tls_certificate: str = text("", "certificate (PEM) with which the port speaks TLS; the SDK itself does not")
    plugin_remote_installing_tls_key: str = text("", "its key (PEM)")
    plugin_remote_installing_max_conn: int = positive(256, "plugins that may be connected at once")
    plugin_remote_installing_max_single_tenant_conn: int = positive(5, "the same for one tenant; enforced only when it is set")
    plugin_remote_install_server_event_loop_nums: int = positive(8, "I/O loops", status=UNUSED)


@frozen(kw_only=True, slots=False)
class Environments:
    """Python environments of plugins"""

    plugin_python: str = text("3.12", "Python of plugin environments: a version, found on the machine before one is downloaded, or a path")
    uv_path: str = text("", "the uv program; empty: the one that this daemon was installed with")
    python_interpreter_path: str = text("/usr/bin/python3", "where the reference looks for uv", status=UNUSED)
    python_env_init_timeout: int = positive(
        120, "longest silence of the installer of dependencies; also how long an installation waits for the plugin to be ready", unit="s"
    )
    python_compile_all_extra_args: str = text("", "further arguments of the byte compilation, split at blanks")
    pip_mirror_url: str = text("", "package index; with it `requirements.txt` goes before `pyproject.toml`")
    pip_mirror_auto_detect: bool = flag(False, "look for the fastest of the mirrors below", status=LATER)
    pip_mirror_candidates: tuple[str, ...] = words(
        ("https://mirrors.aliyun.com/pypi/simple/", "https://pypi.tuna.tsinghua.edu.cn/simple/"), "mirrors to try", status=LATER
    )
    pip_mirror_auto_detect_timeout: int = integer(5, "limit of that search", least=1, unit="s", status=LATER)
    pip_verbose: bool = flag(True, "let uv say what it does")
    pip_extra_args: str = text("", "further arguments of uv, split at blanks")
    pip_prefer_binary: bool = flag(True, "prefer wheels", status=UNUSED)
    plugin_ignore_uv_lock: bool = flag(False, "install without `--frozen` although the plugin has a `uv.lock`")
    http_proxy: str = text("", "proxy for uv and for plugins", aliases=("http_proxy",))
    https_proxy: str = text("", "the same for https", aliases=("https_proxy",))
    no_proxy: str = text("", "hosts that are reached without it", aliases=("no_proxy",))


@frozen(kw_only=True, slots=False)
class Signatures:
    """Signatures"""

    force_verifying_signature: bool = flag(True, "refuse packages without a valid signature")
    enforce_langgenius_plugin_signatures: bool = flag(True, "refuse packages of author `langgenius` without its signature")
    langgenius_by_official_key_only: bool = flag(
        False, "of those, let only the official key be that signature; otherwise the keys below may vouch for Langgenius, too"
    )
    third_party_signature_verification_enabled: bool = flag(False, "accept signatures by the keys below, too")
    third_party_signature_verification_public_keys: tuple[str, ...] = words((), "paths of their public keys (PEM)")


def _level(word: str) -> str:
    """Dify's other services know more levels, and write them in any case."""
    word = word.upper()
    return {"WARNING": "WARN", "CRITICAL": "ERROR", "FATAL": "ERROR"}.get(word, word)


@frozen(kw_only=True, slots=False)
class Telemetry:
    """Logs, metrics, traces"""

    log_level: str = choice(
        "INFO",
        ("DEBUG", "INFO", "WARN", "ERROR"),
        "least level that is logged, in any case",
        normal=_level,
        complaint="failed to init logger: invalid LOG_LEVEL",
    )
    log_output_format: str = text("text", "`json`, or text for anything else", normal=lambda word: "json" if word == "json" else "text")
    log_file: str = text("", "file that the log is written to as well")
    log_file_max_size: int = positive(20, "size at which that file is rotated", unit="MB")
    log_file_backup_count: int = integer(5, "rotated files that are kept")
    health_api_log_enabled: bool = flag(True, "log requests for `/health/check`")
    prometheus_enabled: bool = flag(True, "serve `/metrics/`")
    enable_otel: bool = flag(False, "export traces and metrics by OTLP", status=LATER)
    otlp_base_endpoint: str = text("http://localhost:4318", "collector; `/v1/traces` and `/v1/metrics` are added", status=LATER)
    otlp_trace_endpoint: str = text("", "full URL for traces", status=LATER)
    otlp_metric_endpoint: str = text("", "full URL for metrics", status=LATER)
    otel_api_key: str = secret("", "sent as bearer token", aliases=("OTLP_API_KEY",), status=LATER)
    otel_sampling_rate: float = number(1.0, "share of traces; outside 0 to 1 it is 1", least=None, status=LATER)
    otel_batch_export_schedule_delay: int = integer(5000, "pause between exports of spans", unit="ms", status=LATER)
    otel_batch_export_timeout: int = integer(10000, "limit of one export of spans", unit="ms", status=LATER)
    otel_max_queue_size: int = integer(2048, "spans that may wait", least=1, status=LATER)
    otel_max_export_batch_size: int = integer(512, "spans in one export", least=1, status=LATER)
    otel_metric_export_interval: int = integer(60000, "pause between exports of metrics", least=1, unit="ms", status=LATER)
    otel_metric_export_timeout: int = integer(30000, "limit of one export of metrics", unit="ms", status=LATER)
    otel_exporter_otlp_protocol: str = text("http/protobuf", "always OTLP over HTTP with protobuf", status=UNUSED)
    otel_exporter_type: str = text("otlp", "always OTLP", status=UNUSED)
    sentry_enabled: bool = flag(False, "report crashes to Sentry", status=LATER)
    sentry_dsn: str = secret("", "where to", status=LATER)
    sentry_attach_stacktrace: bool = flag(False, "attach stack traces to messages", status=LATER)
    sentry_tracing_enabled: bool = flag(False, "send traces", status=LATER)
    sentry_traces_sample_rate: float = number(0.0, "share of traces", most=1, status=LATER)
    sentry_sample_rate: float = number(0.0, "share of reports; 0 means all", most=1, status=LATER)
