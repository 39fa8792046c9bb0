"""
The settings of what a larger deployment shares between its machines (configuration 2.5, 2.7, 2.10-2.12, 4.3).

Without any of them the daemon keeps everything in its data directory.
"""

from pathlib import Path

import attrs
from attrs import frozen

from difyd.settings.variable import Status, choice, duration, flag, integer, number, path, positive, secret, text, words

LATER, UNUSED = Status.LATER, Status.UNUSED


@frozen(kw_only=True, slots=False)
class ObjectStorage:
    """Object storage"""

    plugin_storage_type: str = text("local", "where packages and files are kept")
    plugin_storage_oss_bucket: str = text("", "bucket of all kinds but `local` and Azure")
    s3_use_aws: bool = flag(True, "false for MinIO and other servers")
    s3_use_aws_managed_iam: bool = flag(False, "take the credentials of the machine instead of keys")
    s3_endpoint: str = text("", "URL of the service")
    s3_use_path_style: bool = flag(True, "bucket in the path instead of the host name")
    aws_access_key: str = secret("", "")
    aws_secret_key: str = secret("", "")
    aws_region: str = text("", "required for every kind of S3")
    tencent_cos_secret_id: str = secret("", "")
    tencent_cos_secret_key: str = secret("", "")
    tencent_cos_region: str = text("", "")
    tencent_cos_endpoint: str = text("", "", shown="from bucket and region")
    azure_blob_storage_container_name: str = text("", "")
    azure_blob_storage_connection_string: str = secret("", "")
    azure_blob_storage_use_managed_identity: bool = flag(False, "then the account URL is required")
    azure_blob_storage_account_url: str = text("", "`https://<account>.blob.core.windows.net/`")
    aliyun_oss_region: str = text("", "")
    aliyun_oss_endpoint: str = text("", "")
    aliyun_oss_access_key_id: str = secret("", "")
    aliyun_oss_access_key_secret: str = secret("", "")
    aliyun_oss_auth_version: str = text("v4", "`v1`, or v4 for anything else", normal=lambda word: "v1" if word == "v1" else "v4")
    aliyun_oss_path: str = text("", "prefix of all keys")
    aliyun_oss_cloudbox_id: str = text("", "")
    gcs_credentials: str = secret("", "key (JSON in base64); empty: the credentials of the machine")
    huawei_obs_access_key: str = secret("", "")
    huawei_obs_secret_key: str = secret("", "")
    huawei_obs_server: str = text("", "")
    huawei_obs_path_style: bool = flag(False, "bucket in the path instead of the host name")
    volcengine_tos_endpoint: str = text("", "")
    volcengine_tos_access_key: str = secret("", "")
    volcengine_tos_secret_key: str = secret("", "")
    volcengine_tos_region: str = text("", "")
    baidu_bos_endpoint: str = text("", "endpoint or region is required")
    baidu_bos_access_key: str = secret("", "")
    baidu_bos_secret_key: str = secret("", "")
    baidu_bos_region: str = text("", "")


@frozen(kw_only=True, slots=False)
class Serverless:
    """Serverless plugins"""

    dify_plugin_serverless_connector_url: str = text("", "base URL of the connector")
    dify_plugin_serverless_connector_api_key: str = secret("", "sent as `Authorization`, without a scheme")
    dify_plugin_serverless_connector_launch_timeout: int = positive(240, "limit of building and launching a function", unit="s")
    max_serverless_retry_times: int = integer(3, "attempts of a function call")
    serverless_retry_all: bool = flag(False, "try calls again that may have arrived, whatever they do")
    max_serverless_request_bytes: int = positive(
        5242880,
        "largest request; larger ones are split where that is possible",
        unit="bytes",
        complaint="invalid configuration: max serverless request bytes must be greater than zero",
    )
    max_serverless_transaction_timeout: int = positive(300, "limit of a call of a function into Dify", unit="s")


_DB_TYPES = ("postgresql", "pgbouncer", "mysql", "sqlite")


@frozen(kw_only=True, slots=False)
class Database:
    """Database"""

    db_host: str = text("", "database server; without it and `DB_TYPE` the embedded database is used")
    db_type: str = choice(
        attrs.Factory(lambda self: "postgresql" if self.db_host else "sqlite", takes_self=True),
        _DB_TYPES,
        "kind of database; `oceanbase` and `seekdb` are `mysql`",
        normal=lambda word: {"oceanbase": "mysql", "seekdb": "mysql"}.get(word, word),
        shown="sqlite, with DB_HOST postgresql",
        complaint="unsupported database type",
    )
    db_sqlite_path: Path = path(
        attrs.Factory(lambda self: self.plugin_storage_local_root / "dify_plugin.db", takes_self=True),
        "file of the embedded database",
        shown="<PLUGIN_STORAGE_LOCAL_ROOT>/dify_plugin.db",
    )
    db_migrate_on_start: bool = flag(True, "bring the tables up to date at the start; never destructive")
    db_port: int | None = integer(None, "required with a server", most=65535)
    db_username: str = text("", "required with a server", withheld=True, aliases=("DB_USER",))
    db_password: str = secret("", "required with a server", aliases=("DB_PASS",))
    db_database: str = text("", "required with a server", aliases=("DB_NAME",))
    db_default_database: str = text(
        attrs.Factory(lambda self: "mysql" if self.db_type == "mysql" else "postgres", takes_self=True),
        "database to connect to for creating `DB_DATABASE`",
        shown="postgres or mysql",
    )
    db_ssl_mode: str = choice(
        "disable", ("disable", "require", "verify-ca", "verify-full"), "encryption of the connection", complaint="invalid configuration"
    )
    db_ssl_root_cert: str = text("", "certificates (PEM) that `verify-ca` and `verify-full` trust")
    db_max_idle_conns: int = integer(10, "idle connections that are kept")
    db_max_open_conns: int = integer(30, "connections at most; 0: no limit")
    db_conn_max_lifetime: int = integer(3600, "age at which a connection is replaced", unit="s")
    db_charset: str = text("", "`client_encoding` of PostgreSQL")
    db_extras: str = text("", "`options` of PostgreSQL, such as `-c search_path=dify`")
    db_gorm_log_level: str = text("", "statements in the log: `silent`, `error`, `warn`, `info` (all)", status=LATER)
    db_connect_timeout: float = duration(5.0, "MySQL only")
    db_read_timeout: float = duration(30.0, "MySQL only")
    db_write_timeout: float = duration(30.0, "MySQL only")


@frozen(kw_only=True, slots=False)
class Redis:
    """Redis"""

    redis_host: str = text("", "Redis server; without it, Sentinel and cluster, what it would hold is kept in the process")
    redis_port: int | None = integer(None, "its port", most=65535)
    redis_username: str = text("", "", withheld=True)
    redis_password: str = secret("", "")
    redis_db: int = integer(0, "number of the database")
    redis_key_prefix: str = text("plugin_daemon", "prefix of all keys", normal=str.strip)
    redis_use_ssl: bool = flag(False, "encrypt the connection")
    redis_ssl_cert_reqs: str = text("", "`CERT_NONE`, `CERT_OPTIONAL`, `CERT_REQUIRED`; empty: verify")
    redis_ssl_ca_certs: str = text("", "certificates (PEM) to trust", shown="those of the system")
    redis_ssl_certfile: str = text("", "certificate of the client (PEM)")
    redis_ssl_keyfile: str = text("", "its key (PEM)")
    redis_use_sentinel: bool = flag(False, "ask Sentinel for the server")
    redis_sentinels: tuple[str, ...] = words((), "`host:port,host:port`")
    redis_sentinel_service_name: str = text("", "")
    redis_sentinel_username: str = text("", "", withheld=True)
    redis_sentinel_password: str = secret("", "")
    redis_sentinel_socket_timeout: float = number(0.0, "time to connect to a Sentinel; 0: the library's", unit="s")
    redis_use_clusters: bool = flag(False, "use a Redis cluster")
    redis_clusters: tuple[str, ...] = words((), "its nodes, `host:port,host:port`")
    redis_clusters_password: str = secret("", "")
    redis_use_azure_managed_identity: bool = flag(False, "tokens of Entra ID instead of user and password; needs `REDIS_DB=0`")


@frozen(kw_only=True, slots=False)
class Cluster:
    """Cluster"""

    cluster_advertise_address: str = text("", "address that the other nodes use", shown="all but loopback", status=LATER)
    display_cluster_log: bool = flag(False, "log the registration of plugins in detail", status=LATER)
    lifetime_collection_heartbeat_interval: int = positive(5, "", unit="s", status=UNUSED)
    lifetime_collection_gc_interval: int = positive(60, "", unit="s", status=UNUSED)
    lifetime_state_gc_interval: int = positive(300, "", unit="s", status=UNUSED)
