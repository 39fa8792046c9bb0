"""
Rules about the values of several settings (configuration 3), and what this version cannot do yet.

Where the reference has a text for a problem, ours begins with it; the sentence that helps follows.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from difyd.settings.settings import Settings

Problem = tuple[str, str]
"""The variable that is to blame, and the sentence."""

INVALID: Final = "invalid configuration"
INVALID_TLS: Final = "invalid Redis TLS config"
ADMIN_KEY_LENGTH: Final = 10
_CERTIFICATES: Final = ("CERT_NONE", "CERT_OPTIONAL", "CERT_REQUIRED")


def problems(settings: "Settings") -> Iterator[Problem]:
    """Everything about these settings that keeps a daemon from starting."""
    yield from _server(settings)
    yield from _debugging(settings)
    yield from _database(settings)
    yield from _redis(settings)
    if settings.platform == "serverless":
        for name, what in (("URL", "url"), ("API_KEY", "api key")):
            variable = f"DIFY_PLUGIN_SERVERLESS_CONNECTOR_{name}"
            if not getattr(settings, variable.lower()):
                yield variable, f"dify plugin serverless connector {what} is empty: PLATFORM=serverless needs {variable}"


def _server(settings: "Settings") -> Iterator[Problem]:
    if not _known_zone(settings.server_tz):
        yield "SERVER_TZ", f"load location error: unknown time zone {settings.server_tz}: SERVER_TZ must be a name such as UTC or Europe/Berlin"
    if not _is_url(settings.dify_inner_api_url):
        shown = settings.effective()["DIFY_INNER_API_URL"]  # it may hold a password
        yield (
            "DIFY_INNER_API_URL",
            f"init dify invocation daemon failed: DIFY_INNER_API_URL is {shown!r}; accepted is an http or https URL",
        )
    elif "@" in urlsplit(settings.dify_inner_api_url).netloc:
        yield (
            "DIFY_INNER_API_URL",
            "init dify invocation daemon failed: DIFY_INNER_API_URL names a user: leave it out, Dify asks for the DIFY_INNER_API_KEY alone",
        )
    if settings.admin_api_enabled and len(settings.admin_api_key) < ADMIN_KEY_LENGTH:
        yield (
            "ADMIN_API_KEY",
            f"length of admin api key must be greater than 10: ADMIN_API_ENABLED needs an ADMIN_API_KEY of {ADMIN_KEY_LENGTH} or more",
        )


def _debugging(settings: "Settings") -> Iterator[Problem]:
    if not settings.plugin_remote_installing_enabled:
        return
    for what in ("host", "port"):
        if not getattr(settings, f"plugin_remote_installing_{what}"):
            variable = f"PLUGIN_REMOTE_INSTALLING_{what.upper()}"
            yield variable, f"plugin remote installing {what} is empty: set {variable}, or PLUGIN_REMOTE_INSTALLING_ENABLED=false"
    certificate, key = settings.plugin_remote_installing_tls_certificate, settings.plugin_remote_installing_tls_key
    if bool(certificate) != bool(key):
        yield (
            "PLUGIN_REMOTE_INSTALLING_TLS_KEY",
            f"{INVALID}: PLUGIN_REMOTE_INSTALLING_TLS_CERTIFICATE and PLUGIN_REMOTE_INSTALLING_TLS_KEY belong together: set both or neither",
        )
    elif certificate:
        yield from _certificate("PLUGIN_REMOTE_INSTALLING_TLS", certificate, key)


def _certificate(prefix: str, certificate: str, key: str) -> Iterator[Problem]:
    """A daemon that found out later would end with a traceback, or turn every connection away."""
    unreadable = False
    for variable, file in ((f"{prefix}_CERTIFICATE", certificate), (f"{prefix}_KEY", key)):
        try:
            Path(file).read_bytes()
        except OSError as why:
            unreadable = True
            yield variable, f"{INVALID}: {variable} is {file!r}, which cannot be read: {why.strerror}"
    if unreadable:
        return
    import ssl  # most daemons have no certificate

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as why:
        mismatch = getattr(why, "reason", "") == "KEY_VALUES_MISMATCH"
        what = "the key is not that of the certificate" if mismatch else "accepted are a certificate and its key in PEM, without a password"
        yield f"{prefix}_CERTIFICATE", f"{INVALID}: {prefix}_CERTIFICATE is {certificate!r}, {prefix}_KEY is {key!r}; {what}"


def _database(settings: "Settings") -> Iterator[Problem]:
    if settings.db_type != "sqlite":
        for variable in ("DB_HOST", "DB_PORT", "DB_USERNAME", "DB_PASSWORD", "DB_DATABASE"):
            if not getattr(settings, variable.lower()):
                yield variable, f"{INVALID}: {variable} must be set for DB_TYPE={settings.db_type}"
    level = settings.db_gorm_log_level
    if level not in ("", "silent", "error", "warn", "info"):
        yield (
            "DB_GORM_LOG_LEVEL",
            f"{INVALID}: invalid gorm log level: {level!r}. Valid levels are: silent, error, warn, info: this is DB_GORM_LOG_LEVEL",
        )


def _redis(settings: "Settings") -> Iterator[Problem]:
    if settings.redis_use_sentinel and not settings.redis_sentinels:
        yield "REDIS_SENTINELS", f"{INVALID}: REDIS_USE_SENTINEL needs REDIS_SENTINELS, host:port separated by commas"
    if settings.redis_use_clusters and not settings.redis_clusters:
        yield "REDIS_CLUSTERS", f"{INVALID}: REDIS_USE_CLUSTERS needs REDIS_CLUSTERS, host:port separated by commas"
    if settings.redis_host and not settings.redis_port and not (settings.redis_use_sentinel or settings.redis_use_clusters):
        yield "REDIS_PORT", f"{INVALID}: REDIS_PORT must be set when REDIS_HOST is"
    if settings.redis_use_azure_managed_identity and settings.redis_db:
        sentence = f"Azure Managed Redis only supports db 0, but REDIS_DB is set to {settings.redis_db}"
        yield "REDIS_DB", f"{INVALID}: {sentence}; please set REDIS_DB=0 when REDIS_USE_AZURE_MANAGED_IDENTITY is enabled"
    if settings.redis_use_ssl:
        required = settings.redis_ssl_cert_reqs
        if required not in ("", *_CERTIFICATES):
            valid = ", ".join(_CERTIFICATES)
            yield "REDIS_SSL_CERT_REQS", f"{INVALID_TLS}: invalid REDIS_SSL_CERT_REQS value: {required} (valid options: {valid})"
        if required == "CERT_REQUIRED" and not settings.redis_ssl_ca_certs:
            sentence = "REDIS_SSL_CA_CERTS must be provided when REDIS_SSL_CERT_REQS is set to CERT_REQUIRED"
            yield "REDIS_SSL_CA_CERTS", f"{INVALID_TLS}: {sentence}"


def unsupported(settings: "Settings") -> Iterator[str]:
    """What these settings ask for and this version does not have; to ignore it would put data where nobody looks for it."""
    if settings.platform != "local":
        yield "PLATFORM=serverless is not supported by this version; accepted is local"
    if settings.plugin_storage_type not in ("local", "local_file"):
        yield f"PLUGIN_STORAGE_TYPE={settings.plugin_storage_type} is not supported by this version; accepted is local"
    if settings.db_type != "sqlite":
        yield f"DB_TYPE={settings.db_type} is not supported by this version; without DB_TYPE and DB_HOST the embedded database is used"
    if not settings.in_process:
        yield "Redis is not supported by this version; without REDIS_HOST, Sentinel and cluster its part is played in the process"


def oddities(settings: "Settings") -> Iterator[str]:
    """What is allowed and probably a mistake."""
    for variable in ("PLUGIN_INSTALLED_PATH", "PLUGIN_PACKAGE_CACHE_PATH", "PLUGIN_MEDIA_CACHE_PATH", "PERSISTENCE_STORAGE_PATH"):
        prefix = getattr(settings, variable.lower())
        if not re.match(r"[A-Za-z0-9_-]", prefix):
            yield f"{variable} is {prefix!r}: object stores expect a first character out of A-Z a-z 0-9 _ -"


def _known_zone(name: str) -> bool:
    try:
        return name == "UTC" or bool(ZoneInfo(name))
    except (OSError, ValueError, KeyError):  # a directory's name, a path, an unknown name
        return False


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
